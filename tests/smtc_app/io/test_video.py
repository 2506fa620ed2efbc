"""Frame-exact access: whatever the route to a frame, its pixels are those of playing from the beginning."""

from __future__ import annotations

import hashlib
import itertools
import random
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from awkward_videos import SIZE, cut_by_edit_list, encode, picture, read_in_order

from smtc_app.core.errors import UserError
from smtc_app.io import video_index
from smtc_app.io.source import open_source
from smtc_app.io.video import VideoSource

B_FRAMES = {"bf": "3", "b-pyramid": "normal"}
OPEN_GOP = {"x264-params": "open-gop=1:bframes=3:keyint=10:scenecut=0"}
INTRA_REFRESH = {"x264-params": "intra-refresh=1:keyint=10:bframes=0"}
HEVC_OPEN_GOP = {"x265-params": "open-gop=1:bframes=3:keyint=10:log-level=none"}
ALTREF = {"auto-alt-ref": "1", "lag-in-frames": "16", "b": "100k"}
IRREGULAR = list(itertools.accumulate(random.Random(1).choices([1, 2, 3, 7, 40], k=39), initial=0))

KINDS = {
    "b-frames.mp4": ("libx264", {"options": B_FRAMES}),
    "open-gop.mp4": ("libx264", {"options": OPEN_GOP}),
    "open-gop.ts": ("libx264", {"options": OPEN_GOP}),
    "hevc-open-gop.mkv": ("libx265", {"options": HEVC_OPEN_GOP}),
    "intra-refresh.mkv": ("libx264", {"options": INTRA_REFRESH}),
    "variable-rate.mkv": ("libx264", {"pts": IRREGULAR, "time_base": Fraction(1, 1000), "options": B_FRAMES}),
    "variable-rate.mp4": ("libx264", {"pts": IRREGULAR, "time_base": Fraction(1, 1000), "options": B_FRAMES}),
    "negative-pts.nut": ("libx264", {"pts": list(range(-7, 33)), "options": B_FRAMES}),
    "no-timestamps.h264": ("libx264", {"container_format": "h264", "options": B_FRAMES}),
    "b-frames.avi": ("libx264", {"options": B_FRAMES}),
    "mpeg4.avi": ("mpeg4", {"options": {"bf": "2"}}),
    "mpeg4.ts": ("mpeg4", {"options": {"bf": "2"}}),
    "msmpeg4.avi": ("msmpeg4v2", {}),
    "mjpeg.avi": ("mjpeg", {"pix_fmt": "yuvj420p"}),
    "mpeg2.mpg": ("mpeg2video", {"options": {"bf": "2"}}),
    "vp8.webm": ("libvpx", {"options": ALTREF, "count": 60}),
    "vp9.webm": ("libvpx-vp9", {"options": ALTREF, "count": 60}),
    "two-streams.mkv": ("libx264", {"second_stream": True}),
    "odd-size.mkv": ("ffv1", {"size": (53, 37), "pix_fmt": "yuv444p"}),
    "ten-bit.mkv": ("libx265", {"pix_fmt": "yuv420p10le", "options": {"x265-params": "log-level=none"}}),
    "alpha.mov": ("qtrle", {"pix_fmt": "argb"}),
}

REAL = (
    "bgslibrary_video.avi",
    "cotracker_bear.mp4",
    "intel_asl_walk.mkv",
    "intel_bottle-detection.mp4",
    "mmtracking_demo.mp4",
    "rave_truck.mp4",
    "sam2_01_dog.mp4",
    "tokenflow_wolf.mp4",
    "tokenflow_woman-running.mp4",
    "trackanything_test-sample2.mp4",
    "tuneavideo_rabbit-watermelon.mp4",
    "vfs_test.avi",
)


def digest(frame: np.ndarray) -> bytes:
    return hashlib.blake2b(frame.tobytes(), digest_size=16).digest()


@pytest.mark.parametrize("name", KINDS)
def test_random_access_equals_playing(name: str, tmp_path: Path):
    codec, options = KINDS[name]
    path = encode(tmp_path / name, codec, **options)
    expected = read_in_order(path)
    with open_source(path) as source:
        assert source.kind == "video"
        assert len(source) == len(expected) == options.get("count", 40)
        shuffled = random.Random(0).sample(range(len(source)), len(source))
        for index in [*shuffled, *reversed(range(len(source))), *range(len(source))]:
            np.testing.assert_array_equal(source[index], expected[index], err_msg=f"frame {index}")


@pytest.mark.parametrize("name", REAL)
def test_random_access_equals_playing_on_real_footage(name: str, shared: Path):
    path = shared / "data" / "videos" / name
    with av.open(str(path)) as container:
        expected = [digest(f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]
    with VideoSource(path) as source:
        assert len(source) == len(expected)
        for index in random.Random(name).sample(range(len(source)), min(8, len(source))):
            assert digest(source[index]) == expected[index], f"frame {index} by jumping"
        backwards = [digest(source[index]) for index in reversed(range(len(source)))]
        assert backwards[::-1] == expected


def test_frames_keep_their_times_at_a_variable_rate(make_video):
    for name in ("v.mkv", "v.mp4"):
        path = make_video(name, pts=IRREGULAR, time_base=Fraction(1, 1000), options=B_FRAMES)
        with VideoSource(path) as source:
            times = [source.timestamp(i) for i in range(len(source))]
        assert times == pytest.approx([pts / 1000 for pts in IRREGULAR], abs=1e-3)


def test_frames_hidden_by_an_edit_list_do_not_count(make_video, tmp_path):
    whole = make_video("whole.mp4", options=B_FRAMES)
    cut = cut_by_edit_list(whole, tmp_path / "cut.mp4", 13)
    expected = read_in_order(whole)[13:]
    with VideoSource(cut) as source:
        assert len(source) == 27
        for index in reversed(range(27)):
            np.testing.assert_array_equal(source[index], expected[index])


@pytest.mark.parametrize(
    ("rotation", "turned"),
    [
        ((90, False, False), lambda a: np.rot90(a, 1)),
        ((180, False, False), lambda a: np.rot90(a, 2)),
        ((-90, False, False), lambda a: np.rot90(a, -1)),
        ((0, True, False), lambda a: a[:, ::-1]),
        ((0, False, True), lambda a: a[::-1]),
    ],
)
def test_rotation_flag_is_applied(make_video, rotation, turned):
    path = make_video("turned.mp4", rotation=rotation, count=12)
    with VideoSource(path) as source:
        expected = [turned(frame) for frame in read_in_order(path)]
        assert source.size == (expected[0].shape[1], expected[0].shape[0])
        assert source[7].flags["C_CONTIGUOUS"]
        for index in (11, 0, 7):
            np.testing.assert_array_equal(source[index], expected[index])


def test_rotation_agrees_with_ffmpegs_own_player_filter(make_video):
    """A phone held upright stores -90 (counter-clockwise), for which FFmpeg inserts transpose=clock."""
    path = make_video("phone.mp4", rotation=(-90, False, False), count=2)
    with VideoSource(path) as source, av.open(str(path)) as container:
        stream = container.streams.video[0]
        graph = av.filter.Graph()
        graph.link_nodes(
            graph.add_buffer(template=stream), graph.add("transpose", "clock"), graph.add("buffersink")
        ).configure()
        graph.push(next(container.decode(stream)))
        shown = graph.pull().to_ndarray(format="rgb24")
        difference = np.abs(shown.astype(int) - source[0])
        assert difference.mean() < 3  # chroma is resampled after turning instead of before


def test_lossless_video_gives_the_encoded_pixels(make_video):
    path = make_video("exact.mkv", "ffv1", pix_fmt="bgr0", count=12)
    with VideoSource(path) as source:
        for index in (11, 3, 0):
            np.testing.assert_array_equal(source[index], picture(index))


def test_reading_from_two_threads_gives_the_right_frames(make_video):
    path = make_video("b.mp4", options=B_FRAMES)
    expected = read_in_order(path)
    wrong: list[int] = []
    with VideoSource(path) as source:

        def read(order: list[int]) -> None:
            wrong.extend(i for i in order if not np.array_equal(source[i], expected[i]))

        threads = [
            threading.Thread(target=read, args=(order,)) for order in ([*range(40)], [*range(39, -1, -1)])
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_reopened_source_reads_on_its_own(make_video):
    path = make_video("b.mp4")
    expected = read_in_order(path)
    with VideoSource(path) as first:
        second = first.reopen()
        first.close()
        np.testing.assert_array_equal(second[25], expected[25])
        assert second.fingerprint() == VideoSource(path).fingerprint()
        second.close()


def test_names_and_bounds(make_video):
    with VideoSource(make_video("b.mp4", count=12)) as source:
        assert [source.name(0), source.name(11)] == ["00000", "00011"]
        assert len(list(source)) == 12
        for index in (-1, 12):
            with pytest.raises(IndexError, match="frames 0 to 11"):
                source[index]


def test_kept_pictures_stay_within_their_bound(make_video):
    limit_bytes = 5 * SIZE[0] * SIZE[1] * 3 // 2
    with VideoSource(make_video("b.mp4"), recent_limit_bytes=limit_bytes) as source:
        for index in [*range(40), *reversed(range(40))]:
            source[index]
        assert source._recent_bytes <= limit_bytes
        assert len(source._recent) >= 2


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted as Linux lists them")
def test_kept_pictures_hold_no_threads(make_video):
    with VideoSource(make_video("b.mp4")) as source:
        source[0]
        before = len(list(Path("/proc/self/task").iterdir()))
        for index in range(1, 40):
            source[index]
        assert len(source._recent) == 40
        assert len(list(Path("/proc/self/task").iterdir())) <= before + 8


def test_stepping_backwards_decodes_a_group_once(make_video, monkeypatch):
    with VideoSource(make_video("b.mp4", options=B_FRAMES)) as source:
        entered: list[int] = []
        enter = source._enter
        monkeypatch.setattr(source, "_enter", lambda group: (entered.append(group), enter(group)))
        for index in reversed(range(40)):
            source[index]
    assert entered == [3, 2, 1, 0]


def test_jumping_back_does_not_open_the_file_again(make_video, monkeypatch):
    with VideoSource(make_video("b.mp4", options=B_FRAMES), recent_limit_bytes=1) as source:
        opened: list[None] = []
        reopen = source._reopen_decoder
        monkeypatch.setattr(source, "_reopen_decoder", lambda: (opened.append(None), reopen()))
        for index in (5, 30, 4, 12, 0):
            source[index]
    assert opened == []


def test_long_mp4_is_indexed_from_its_table(make_video, monkeypatch):
    path = make_video("long.mp4", options=OPEN_GOP)
    expected = read_in_order(path)
    monkeypatch.setattr(video_index, "TABLE_MIN_BYTES", 0)
    monkeypatch.setattr(video_index, "index_from_packets", None)  # calling it would fail
    with VideoSource(path) as source:
        assert source._index.resolve is not None
        assert (source._index.pts == video_index.UNKNOWN).any()
        for index in [*random.Random(0).sample(range(40), 40), *reversed(range(40))]:
            np.testing.assert_array_equal(source[index], expected[index], err_msg=f"frame {index}")
        assert source.timestamp(39) == pytest.approx(39 / 30, abs=1e-3)


def test_table_that_points_behind_the_end_is_refused(make_video, monkeypatch, tmp_path):
    data = make_video("whole.mp4", count=40).read_bytes()
    moved = tmp_path / "faststart.mp4"
    with (
        av.open(str(tmp_path / "whole.mp4")) as reader,
        av.open(str(moved), "w", options={"movflags": "+faststart"}) as writer,
    ):
        copy = writer.add_stream_from_template(reader.streams.video[0])
        for packet in reader.demux(reader.streams.video[0]):
            if packet.size:
                packet.stream = copy
                writer.mux(packet)
    assert len(data) > 1000
    cut = tmp_path / "my cut.mp4"
    cut.write_bytes(moved.read_bytes()[:-900])
    with pytest.raises(UserError, match=r"cut off.*`ffmpeg -i 'my cut\.mp4' -c copy repaired\.mkv`"):
        VideoSource(cut)


@pytest.mark.parametrize(
    ("name", "codec"), [("v.mp4", "libx264"), ("v.mkv", "libx264"), ("v.avi", "mpeg4"), ("v.mov", "libx264")]
)
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_truncated_file_is_refused_with_a_sentence(make_video, tmp_path, name, codec, share):
    data = make_video(name, codec).read_bytes()
    cut = tmp_path / f"cut-{name}"
    cut.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UserError, match="cut off") as caught:
        open_source(cut)
    # An MP4 without the index at its end is lost to FFmpeg, too: no way out is named that does not exist.
    assert ("ffmpeg" in str(caught.value)) is (name[-3:] not in ("mp4", "mov"))


def test_data_behind_the_end_of_a_video_does_no_harm(make_video):
    path = make_video("v.mp4", count=12)
    path.write_bytes(path.read_bytes() + b"trailing notes of some camera")
    with VideoSource(path) as source:
        assert len(source) == 12


def test_a_closed_source_says_so(make_video):
    source = VideoSource(make_video("v.mp4", count=12))
    source.close()
    source.close()
    with pytest.raises(ValueError, match=r"v\.mp4 is closed"):
        source[3]


def test_damage_inside_a_video_does_not_stop_reading(make_video, tmp_path):
    data = bytearray(make_video("v.ts", "mpeg2video", options={"bf": "2"}).read_bytes())
    middle = len(data) // 2
    data[middle : middle + 600] = bytes(600)
    damaged = tmp_path / "damaged.ts"
    damaged.write_bytes(bytes(data))
    with open_source(damaged) as source:
        first = [digest(frame) for frame in source]
        assert 30 <= len(first) <= 40
        assert [digest(source[i]) for i in reversed(range(len(source)))] == first[::-1]


def bad_files(folder: Path) -> dict[str, bytes]:
    wave = folder / "tone.wav"
    with av.open(str(wave), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    no_frames = folder / "none.mp4"
    with av.open(str(no_frames), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        container.start_encoding()
    return {
        "text.txt": b"not a video at all\n" * 50,
        "text.mp4": b"not a video at all\n" * 50,
        "noise.mp4": random.Random(0).randbytes(20_000),
        "playlist.m3u8": b"#EXTM3U\n#EXTINF:1,\nother.ts\n#EXT-X-ENDLIST\n",
        "empty.mp4": b"",
        "sound.wav": wave.read_bytes(),
        "none.mp4": no_frames.read_bytes(),
    }


@pytest.mark.parametrize(
    "name", ["text.txt", "text.mp4", "noise.mp4", "playlist.m3u8", "empty.mp4", "sound.wav", "none.mp4"]
)
def test_what_is_no_video_gets_one_sentence(tmp_path, name):
    source_folder, folder = tmp_path / "made", tmp_path / "given"
    source_folder.mkdir()
    folder.mkdir()
    path = folder / name
    path.write_bytes(bad_files(source_folder)[name])
    with pytest.raises(UserError) as caught:
        open_source(path)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_path_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no file or folder .*nowhere\.mp4"):
        open_source(tmp_path / "nowhere.mp4")


MEASURE = """
import sys, psutil
from smtc_app.io.source import open_source
open_source(sys.argv[1]).close()  # codecs and tables of the libraries are loaded
before = psutil.Process().memory_info().rss
source = open_source(sys.argv[2])
print(psutil.Process().memory_info().rss - before)
"""


def test_opening_the_longest_clip_costs_no_more_memory_than_the_shortest(shared: Path):
    videos = shared / "data" / "videos"

    def cost(name: str) -> int:
        command = [sys.executable, "-c", MEASURE, str(videos / "rave_truck.mp4"), str(videos / name)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    shortest, longest = cost("mmtracking_demo.mp4"), cost("intel_bottle-detection.mp4")  # 8 and 1,189 frames
    assert longest <= shortest + (2 << 20)
