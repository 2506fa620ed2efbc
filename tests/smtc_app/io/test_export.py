"""Every format holds the document's masks, as readers other than ours see them, and nothing is ever half."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from awkward_videos import picture
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from smtc_app.core.commands import AddObject, ApplyPropagation, SetLabels
from smtc_app.core.document import Document
from smtc_app.core.errors import UserError
from smtc_app.core.export import FORMATS, ExportRequest
from smtc_app.core.palette import davis_palette
from smtc_app.core.undo import UndoStack
from smtc_app.io.davis import DavisWriter, prepare_output
from smtc_app.io.export.run import WRITERS, run_export
from smtc_app.io.source import open_source

SIZE = (48, 32)
COUNT = 6
DOG, BALL, GHOST = 1, 2, 3


def labels_of(index: int) -> np.ndarray:
    """The dog walks to the right, the ball comes in frame 2 and covers a part of it."""
    labels = np.zeros((SIZE[1], SIZE[0]), np.uint16)
    labels[4:20, 4 + index : 20 + index] = DOG
    if index >= 2:
        labels[10:18, 16:30] = BALL
    return labels


@pytest.fixture
def source(tmp_path: Path):
    folder = tmp_path / "park"
    folder.mkdir()
    for number in range(COUNT):
        Image.fromarray(picture(number, SIZE)).save(folder / f"shot{number * 5}.png")
    with open_source(folder) as opened:
        yield opened


@pytest.fixture
def state():
    document = Document(COUNT, SIZE)
    stack = UndoStack(document)
    stack.push(AddObject(name="my dog", category="dog"))
    stack.push(AddObject(name="ball"))
    stack.push(AddObject(name="ghost"))
    stack.push(SetLabels(0, labels_of(0), "paint"))
    steps = [(i, labels_of(i), {DOG: 0.9, BALL: 0.25 + i / 10}, (0,)) for i in range(1, COUNT)]
    stack.push(ApplyPropagation(steps, objects={DOG, BALL}))
    yield document.snapshot()
    document.close()


def request_for(folder: Path, key: str, **changes) -> ExportRequest:
    return replace(ExportRequest(folder, 0, COUNT, (DOG, BALL, GHOST), format=key), **changes)


def soft_maps(take) -> None:
    """Probabilities that fall to the right within the dog, on the propagated frames."""
    ramp = np.linspace(1, 0.55, SIZE[0], dtype=np.float32)[None]
    for index in range(1, COUNT):
        take(index, {DOG: np.where(labels_of(index) == DOG, ramp, 0.1).astype(np.float32)})


@pytest.fixture
def export(source, state, tmp_path):
    def run(key: str, folder: str = "out", **changes):
        out = tmp_path / folder
        maps = soft_maps if FORMATS[key].soft else None
        result = run_export(
            request_for(out, key, **changes), source, state, soft_maps=maps, settings={"seed": 7}
        )
        return out, result

    return run


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def names(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


BESIDE = ["export.json", "frames.csv", "provenance.json"]


def test_every_described_format_has_a_writer():
    assert set(WRITERS) == set(FORMATS)


def test_davis(export):
    out, result = export("davis")
    shots = [f"shot{5 * i}.png" for i in range(COUNT)]
    assert names(out) == sorted([*BESIDE, *shots])
    for index, name in enumerate(shots):
        with Image.open(out / name) as image:
            assert (image.mode, image.size) == ("P", SIZE)
            np.testing.assert_array_equal(np.asarray(image.getpalette()).reshape(-1, 3), davis_palette())
            np.testing.assert_array_equal(np.asarray(image), labels_of(index))
    assert [(info.id, info.name) for info in result.objects] == [(1, "my dog"), (2, "ball")]
    assert result.left_out == ("ghost",)
    assert result.checked == "6 masks read back equal."


def test_ids_have_no_gaps_whatever_was_chosen(export):
    out, _ = export("davis", objects=(BALL, GHOST))
    np.testing.assert_array_equal(read(out / "shot10.png"), labels_of(2) == BALL)
    out, result = export("davis", "early", first=0, stop=2)
    assert [info.name for info in result.objects] == ["my dog"]


def test_range_and_step(export):
    for key in FORMATS:
        out, result = export(key, key, first=1, stop=6, step=2)
        assert result.frames == 3
        with (out / "frames.csv").open(newline="") as file:
            assert [row["index"] for row in csv.DictReader(file)] == ["1", "3", "5"]


def test_youtube_vos(export):
    out, _ = export("youtube-vos", images=True)
    masks = [f"Annotations/park/shot{5 * i}.png" for i in range(COUNT)]
    images = [f"JPEGImages/park/shot{5 * i}.jpg" for i in range(COUNT)]
    assert names(out) == sorted([*BESIDE, *masks, *images, "meta.json"])
    assert json.loads((out / "meta.json").read_text()) == {
        "videos": {
            "park": {
                "objects": {
                    "1": {"category": "dog", "frames": [f"shot{5 * i}" for i in range(COUNT)]},
                    "2": {"category": "object", "frames": [f"shot{5 * i}" for i in range(2, COUNT)]},
                }
            }
        }
    }
    assert np.abs(read(out / images[3]).astype(int) - picture(3, SIZE)).mean() < 6
    with open_source(out) as opened:  # and the application takes it back
        assert opened.annotations == out / "Annotations" / "park"


def test_coco(export, capsys):
    out, _ = export("coco")
    coco = COCO(out / "annotations.json")
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == ["dog", "object"]
    assert [image["file_name"] for image in coco.loadImgs(coco.getImgIds())] == [
        f"park/shot{5 * i}.png" for i in range(COUNT)
    ]
    for index, image_id in enumerate(sorted(coco.getImgIds())):
        found = np.zeros(SIZE[::-1], np.uint16)
        for annotation in coco.loadAnns(coco.getAnnIds(imgIds=[image_id])):
            mask = coco.annToMask(annotation).astype(bool)
            found[mask] = annotation["track_id"]
            y, x = np.nonzero(mask)
            assert annotation["area"] == mask.sum()
            assert annotation["bbox"] == [x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1]
        np.testing.assert_array_equal(found, labels_of(index))
    capsys.readouterr()


def test_youtube_vis(export):
    out, _ = export("youtube-vis")
    content = json.loads((out / "instances.json").read_text())
    (video,) = content["videos"]
    assert (video["length"], video["width"], video["height"]) == (COUNT, *SIZE)
    assert len(video["file_names"]) == COUNT
    categories = {category["id"]: category["name"] for category in content["categories"]}
    assert [categories[track["category_id"]] for track in content["annotations"]] == ["dog", "object"]
    ball = content["annotations"][1]
    assert ball["segmentations"][:2] == ball["bboxes"][:2] == ball["areas"][:2] == [None, None]
    for index in range(2, COUNT):
        mask = coco_mask.decode(ball["segmentations"][index])
        np.testing.assert_array_equal(mask, labels_of(index) == BALL)
        assert ball["bboxes"][index] == [16, 10, 14, 8]
        assert ball["areas"][index] == 14 * 8


def test_binary(export):
    out, _ = export("binary")
    for index in range(COUNT):
        for folder, object_id in (("1_my-dog", DOG), ("2_ball", BALL)):
            with Image.open(out / folder / f"shot{5 * index}.png") as image:
                assert (image.mode, image.size) == ("L", SIZE)
                np.testing.assert_array_equal(np.asarray(image), (labels_of(index) == object_id) * 255)


@pytest.mark.parametrize(("bits", "kind"), [(8, np.uint8), (16, np.uint16)])
def test_soft(export, bits, kind):
    out, result = export("soft", bits=bits)
    top = np.iinfo(kind).max
    painted = cv2.imread(str(out / "1_my-dog" / "shot0.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(painted, np.where(labels_of(0) == DOG, top, 0))
    given = {}
    soft_maps(lambda index, maps: given.update({index: maps[DOG]}))
    for index in range(1, COUNT):
        image = cv2.imread(str(out / "1_my-dog" / f"shot{5 * index}.png"), cv2.IMREAD_UNCHANGED)
        assert image.dtype == kind
        np.testing.assert_allclose(image / top, given[index], atol=0.51 / top)
    told = json.loads((out / "soft.json").read_text())
    assert told["soft_frames"] == {"1": [f"shot{5 * i}" for i in range(1, COUNT)], "2": []}
    assert "5 of them soft" in result.checked
    assert "100%" in result.checked


def test_soft_masks_need_a_model(source, state, tmp_path):
    with pytest.raises(UserError, match="no model"):
        run_export(request_for(tmp_path / "out", "soft"), source, state)
    assert not (tmp_path / "out").exists()


def test_csv(export):
    out, _ = export("csv")
    with (out / "objects.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * COUNT
    first, ball = rows[0], rows[2 * 3 + 1]
    assert [first[key] for key in ("name", "category", "area_px", "status")] == [
        "my dog", "dog", "256", "manual",
    ]  # fmt: skip
    assert [ball[key] for key in ("frame", "area_px", "x0", "y0", "x1", "y1", "status")] == [
        "3", "112", "16", "10", "30", "18", "propagated",
    ]  # fmt: skip
    assert float(ball["confidence"]) == pytest.approx(0.55, abs=1e-3)
    assert (float(ball["centroid_x"]), float(ball["centroid_y"])) == (23, 14)
    assert (rows[1]["area_px"], rows[1]["x0"]) == ("0", "")


@pytest.mark.parametrize("fps", [None, 12.5])
def test_overlay(export, source, fps):
    out, _ = export("overlay", fps=fps, opacity=1.0, step=2)
    with av.open(str(out / "park_overlay.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        frames = list(container.decode(stream))
    assert len(frames) == 3
    step = 1 / fps if fps else 2 / source.fps
    assert [frame.time for frame in frames] == pytest.approx([0, step, 2 * step], abs=1e-3)
    pixels = frames[1].to_ndarray(format="rgb24").astype(int)
    assert np.abs(pixels[6:8, 8:20] - davis_palette()[DOG]).mean() < 25


def test_provenance_tells_where_every_mask_came_from(export, source):
    out, _ = export("davis")
    told = json.loads((out / "provenance.json").read_text())
    assert told["source"]["fingerprint"] == source.fingerprint()
    assert told["made_with"] == {"seed": 7}
    assert told["export"]["not_seen"] == ["ghost"]
    rows = {(row["frame"], row["object"]): row for row in told["masks"]}
    assert rows[0, 1]["status"] == "manual"
    assert rows[0, 1]["confidence"] is None
    assert rows[4, 2] == {
        "frame": 4, "name": "shot20", "object": 2, "status": "propagated", "confidence": 0.65,
        "keyframes": [0], "key": False, "locked": False,
    }  # fmt: skip
    assert rows[1, 2]["status"] == "absent"


@pytest.mark.parametrize("key", FORMATS)
def test_the_same_document_gives_the_same_files(export, key):
    one, _ = export(key, "one", images=True)
    two, _ = export(key, "two", images=True)
    assert names(one) == names(two)
    for name in names(one):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


@pytest.mark.parametrize("key", FORMATS)
def test_cancelling_leaves_nothing(source, state, tmp_path, key):
    def stop(done: int, total: int, message: str) -> None:
        if done == 4:
            raise KeyboardInterrupt

    out = tmp_path / "out"
    maps = soft_maps if FORMATS[key].soft else None
    with pytest.raises(KeyboardInterrupt):
        run_export(request_for(out, key), source, state, soft_maps=maps, progress=stop)
    assert not out.exists()


def test_cancelling_leaves_an_earlier_export_as_it_was(export, source, state):
    out, _ = export("davis")
    before = {name: (out / name).read_bytes() for name in names(out)}

    def stop(done: int, total: int, message: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_export(request_for(out, "binary", overwrite=True), source, state, progress=stop)
    assert {name: (out / name).read_bytes() for name in names(out)} == before


@pytest.mark.parametrize("first", FORMATS)
def test_overwriting_replaces_the_earlier_export_and_nothing_else(export, first):
    out, _ = export(first, images=True)
    (out / "thesis.txt").write_text("years of work")
    (out / "mine.png").write_bytes(b"a picture")
    with pytest.raises(UserError, match="already holds"):
        export("csv")
    export("csv", overwrite=True)
    assert names(out) == sorted([*BESIDE, "mine.png", "objects.csv", "thesis.txt"])


@pytest.mark.parametrize(("key", "name"), [("davis", "shot5.png"), ("youtube-vos", "meta.json")])
def test_a_file_of_somebody_else_is_never_written_over(export, tmp_path, key, name):
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_bytes(b"years of work")
    with pytest.raises(UserError, match=f"{name} is in the way"):
        export(key, overwrite=True)
    assert names(out) == [name]
    assert (out / name).read_bytes() == b"years of work"


def test_masks_of_a_propagation_are_replaced(export, source, tmp_path):
    writer = DavisWriter(prepare_output(tmp_path / "out"), source)
    for index in range(COUNT):
        writer.write(index, labels_of(index))
    writer.finish()
    out, _ = export("davis", overwrite=True, first=4)
    assert names(out) == sorted([*BESIDE, "shot20.png", "shot25.png"])


def test_what_a_killed_export_left_is_taken_away(export, tmp_path):
    out = tmp_path / "out"
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for process in (dead.pid, os.getpid()):
        (out / f".export-{process}-abc.partial").mkdir(parents=True)
        (out / f".export-{process}-abc.partial" / "half.png").touch()
    with pytest.raises(UserError, match="already holds"):
        export("csv")
    assert [entry.name for entry in out.iterdir()] == [f".export-{os.getpid()}-abc.partial"]


def test_a_manifest_never_reaches_outside_its_folder(export, tmp_path):
    victim = tmp_path / "victim.png"
    victim.write_bytes(b"precious")
    out, _ = export("davis")
    manifest = {
        "format": "smtc-export",
        "files": ["../victim.png", "provenance.json"],
        "frame_folders": [".."],
    }
    (out / "export.json").write_text(json.dumps(manifest))
    (out / "frames.csv").write_text("index,name,timestamp,hash\n0,victim,0,x\n")
    export("csv", overwrite=True)
    assert victim.read_bytes() == b"precious"


def test_what_does_not_read_back_equal_is_told_and_dropped(source, state, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "smtc_app.io.export.indexed_masks.encode_mask", lambda labels: _encoded(np.zeros_like(labels))
    )
    with pytest.raises(UserError, match="does not read back"):
        run_export(request_for(tmp_path / "out", "davis"), source, state)
    assert not (tmp_path / "out").exists()


def _encoded(labels: np.ndarray) -> bytes:
    from smtc_app.io.davis import encode_mask

    return encode_mask(labels)


def test_a_full_disk_is_told_in_a_sentence(source, state, tmp_path, monkeypatch):
    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match="the disk is full"):
        run_export(request_for(tmp_path / "out", "binary"), source, state)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("key", FORMATS)
def test_more_than_254_objects(source, tmp_path, key):
    document = Document(COUNT, SIZE)
    stack = UndoStack(document)
    for number in range(300):
        stack.push(AddObject(name=f"thing {number}"))
    labels = np.arange(SIZE[0] * SIZE[1], dtype=np.uint16).reshape(SIZE[::-1]) % 301
    stack.push(SetLabels(0, labels, "paint"))
    out = tmp_path / "out"
    request = ExportRequest(out, 0, 2, tuple(range(1, 301)), format=key)
    state = document.snapshot()
    if FORMATS[key].indexed:
        with pytest.raises(UserError, match=r"300 objects do not fit an indexed PNG.*COCO"):
            run_export(request, source, state)
        assert not out.exists()
        run_export(replace(request, objects=tuple(range(47, 301))), source, state)
    else:
        run_export(request, source, state, soft_maps=lambda take: None)
    assert out.is_dir()
    document.close()


def test_nothing_to_export_is_told(source, state, tmp_path):
    with pytest.raises(UserError, match="nothing to export"):
        run_export(request_for(tmp_path / "out", "davis", objects=(GHOST,)), source, state)
    with pytest.raises(UserError, match="no object 9"):
        run_export(request_for(tmp_path / "out", "davis", objects=(9,)), source, state)
    with pytest.raises(UserError, match="the video has frames 0 to 5"):
        run_export(request_for(tmp_path / "out", "davis", stop=9), source, state)


@pytest.mark.parametrize("wrong", [{"step": 0}, {"bits": 12}, {"opacity": 2}, {"fps": 0}, {"format": "gif"}])
def test_senseless_requests_are_refused(tmp_path, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ExportRequest(tmp_path, 0, 1, (1,), **wrong)
