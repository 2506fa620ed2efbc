"""Clips for training: found, decoded once, sampled."""

from __future__ import annotations

import logging

import av
import cv2
import numpy as np
import pytest

from smtc_model import augment
from smtc_model.data import find_clips, open_cache, sample_indices
from smtc_model.errors import ModelError


def write_video(path, frames, *, fps=10):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "0"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def smooth_frames(count, height, width):
    """Pictures without fine colour detail, which 4:2:0 could not hold."""
    rng = np.random.default_rng(0)
    small = rng.integers(40, 216, (count, 4, 4, 3), dtype=np.uint8)
    return [cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR) for frame in small]


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    images = folder / "deep" / "images"
    images.mkdir(parents=True)
    for index, frame in enumerate(smooth_frames(3, 40, 64)):
        cv2.imwrite(str(images / f"{index:03d}.png"), frame[..., ::-1])
    write_video(folder / "video.mp4", smooth_frames(5, 48, 64))
    return folder


def test_videos_and_frame_folders_are_found_at_any_depth(root):
    (root / "note.txt").write_text("no clip")
    assert [clip.name for clip in find_clips(root)] == ["images", "video.mp4"]


def test_a_folder_that_links_lead_back_to_is_found_once(root):
    (root / "deep" / "again").symlink_to(root, target_is_directory=True)
    (root / "deep" / "twin").symlink_to(root / "deep" / "images", target_is_directory=True)
    assert [clip.name for clip in find_clips(root)] == ["images", "video.mp4"]


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_a_root_without_clips_is_told(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=name):
        find_clips(tmp_path / name)


def test_frames_come_back_as_they_were(root, tmp_path):
    cache = open_cache(root, tmp_path / "cache")
    assert [(clip.name, clip.frames) for clip in cache.clips] == [("deep/images", 3), ("video.mp4", 5)]
    for clip, truth in enumerate((smooth_frames(3, 40, 64), smooth_frames(5, 48, 64))):
        for index, frame in enumerate(truth):
            difference = np.abs(cache.frame(clip, index).astype(int) - frame)
            assert difference.mean() < 3, (clip, index)


def test_long_sides_shrink_and_become_even(root, tmp_path):
    cache = open_cache(root, tmp_path / "cache", short_side=25)
    assert (cache.clips[0].height, cache.clips[0].width) == (24, 40)
    assert cache.frame(0, 2).shape == (24, 40, 3)


def test_a_second_opening_decodes_nothing_until_the_root_changes(root, tmp_path):
    decoded = []
    report = lambda done, total, name: decoded.append(name)  # noqa: E731
    open_cache(root, tmp_path / "cache", progress=report)
    open_cache(root, tmp_path / "cache", progress=report)
    assert decoded == ["images", "video.mp4"]
    write_video(root / "another.mp4", smooth_frames(4, 48, 64))
    assert len(open_cache(root, tmp_path / "cache", progress=report)) == 3


@pytest.mark.parametrize("file", ["frames.yuv", "clips.json"])
@pytest.mark.parametrize("keep", [None, 0, 60])
def test_a_cache_that_is_not_whole_is_made_again(root, tmp_path, file, keep):
    folder = tmp_path / "cache"
    expected = open_cache(root, folder)
    path = folder / file
    content = path.read_bytes()
    path.unlink()  # not made shorter where it is: it is mapped into memory
    if keep is not None:
        path.write_bytes(content[:keep])
    found = open_cache(root, folder)
    assert found.clips == expected.clips
    np.testing.assert_array_equal(found.frame(1, 4), expected.frame(1, 4))


def test_broken_clips_are_left_out_with_a_warning(root, tmp_path, caplog):
    (root / "broken.mp4").write_bytes(b"not a video")
    with caplog.at_level(logging.WARNING):
        cache = open_cache(root, tmp_path / "cache")
    assert len(cache) == 2
    assert "broken.mp4" in caplog.text


def test_nothing_but_broken_clips_is_an_error(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (root / "broken.mp4").write_bytes(b"not a video")
    with pytest.raises(ModelError, match="No clip"):
        open_cache(root, tmp_path / "cache")


def test_an_index_outside_the_clip_is_refused(root, tmp_path):
    cache = open_cache(root, tmp_path / "cache")
    with pytest.raises(ValueError, match="outside"):
        cache.frame(0, 3)


@pytest.mark.parametrize(
    ("frames", "count", "gap"), [(100, 4, (1, 4)), (7, 4, (4, 4)), (2, 4, (1, 4)), (1, 2, (1, 1))]
)
def test_sampled_indices_stay_inside_and_in_order(frames, count, gap):
    rng = np.random.default_rng(0)
    for _ in range(50):
        indices = sample_indices(frames, count, gap, rng)
        assert len(indices) == count
        assert indices.min() >= 0
        assert indices.max() < frames
        steps = np.diff(indices)
        assert (steps >= 0).all()
        assert steps.max() <= gap[1]


def test_the_second_view_shows_the_same_scene_where_its_affine_says():
    """Colours are a function of the place in the source, so a view's own pixels tell what it looks at."""
    height, width, side = 120, 160, 32
    y, x = np.mgrid[:height, :width]
    frame = np.stack([x, y, np.zeros_like(x)], -1).astype(np.uint8)
    rng = np.random.default_rng(3)
    for _ in range(20):
        first = augment.base_view(height, width, rng, side=(40, 110))
        second = augment.second_view(first, rng)
        picture = augment.render(frame, second, side)[..., :2].astype(float)
        affine = second.relative_to(first)
        rows, columns = np.mgrid[:side, :side]
        own = (2 * np.stack([columns, rows], -1) + 1) / side - 1
        source = (own @ affine[:, :2].T + affine[:, 2]) @ first.matrix.T + first.centre
        inside = (source > 1).all(-1) & (source[..., 0] < width - 2) & (source[..., 1] < height - 2)
        assert inside.mean() > 0.3
        assert np.abs(picture - source)[inside].max() < 2.5


def test_the_first_view_lies_inside_the_frame():
    rng = np.random.default_rng(0)
    for _ in range(100):
        view = augment.base_view(50, 90, rng, side=(30, 500))
        corners = np.array([[-1, -1], [1, 1], [-1, 1], [1, -1]]) @ view.matrix.T + view.centre
        assert corners.min() >= -0.5 - 1e-9
        assert (corners.max(0) <= [89.5 + 1e-9, 49.5 + 1e-9]).all()


def test_no_strength_leaves_colours_alone_and_grey_takes_them_away():
    frame = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    rng = np.random.default_rng(0)
    same = augment.apply_colour(frame, augment.colour_transform(rng, strength=0))
    assert np.abs(same.astype(int) - frame).max() <= 1
    grey = augment.apply_colour(frame, augment.colour_transform(rng, strength=0, grey=1.0)).astype(int)
    assert np.ptp(grey, axis=-1).max() <= 1


def test_composed_colour_changes_equal_one_after_the_other():
    rng = np.random.default_rng(1)
    first, second = (augment.colour_transform(rng, strength=0.2, hue=0.1) for _ in range(2))
    colour = np.array([0.4, 0.5, 0.6])
    after = second[0] @ (first[0] @ colour + first[1]) + second[1]
    matrix, offset = augment.compose_colour(first, second)
    np.testing.assert_allclose(matrix @ colour + offset, after)
