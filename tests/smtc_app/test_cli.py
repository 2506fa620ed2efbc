"""The command line as scripts and people meet it: files written, exit codes, one sentence for bad input."""

from __future__ import annotations

import csv
import errno
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from smtc_app import __version__
from smtc_app.cli import main
from smtc_app.core.commands import AddObject, ApplyPropagation, SetLabels
from smtc_app.core.document import Document, ProposalMask
from smtc_app.core.undo import UndoStack
from smtc_app.io.davis import write_mask
from smtc_app.io.project import save_project
from smtc_app.io.source import open_source
from smtc_app.jobs.adapt_tasks import AdaptSummary
from smtc_app.jobs.model_use import ModelSummary, RunSummary

SIZE = (64, 48)
FRAMES = 6


def frame(number: int) -> np.ndarray:
    """uint8 (48,64,3): a red square moving over a textured green ground."""
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    picture = np.stack([x * 0, 90 + (x * 7 + y * 13) % 60, x * 0 + 40], axis=-1).astype(np.uint8)
    picture[truth(number) == 3] = (220, 40, 30)
    return picture


def truth(number: int) -> np.ndarray:
    labels = np.zeros((SIZE[1], SIZE[0]), np.uint16)
    labels[12:32, 8 + 3 * number : 28 + 3 * number] = 3
    return labels


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "bgr0"
        for number in range(FRAMES):
            container.mux(
                stream.encode(
                    av.VideoFrame.from_ndarray(frame(number), format="rgb24").reformat(format="bgr0")
                )
            )
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    write_mask(tmp_path / "first.png", truth(0))
    return tmp_path / "first.png"


@dataclass
class Copied:
    """A propagated frame as the model package gives it."""

    index: int
    labels: np.ndarray
    confidence: dict[int, float]
    sources: tuple[int, ...]


SUMMARY = ModelSummary("copying", "00" * 32, False, False, "cpu")


def copying_propagation(ctx, source, keyframes, *, direction="both", span=None, objects=None, **settings):
    """A task that copies the nearest keyframe: enough to see what the command line does with it."""
    first, stop = span or (0, len(source))
    count = 0
    for index in range(first, stop):
        reachable = [
            k
            for k in keyframes
            if direction == "both" or (k < index if direction == "forward" else k > index)
        ]
        if index in keyframes or not reachable:
            continue
        nearest = min(reachable, key=lambda k: abs(k - index))
        ctx.partial(Copied(index, keyframes[nearest], {3: 0.5}, (nearest,)))
        count += 1
        ctx.progress(count, stop - first, "copying")
    return RunSummary(SUMMARY, count)


def square_proposals(ctx, source, frames, *, max_objects=10, **settings):
    """A task that proposes the square, and above it a half of it with a higher score."""
    found = {}
    for index in frames:
        whole = truth(index) == 3
        half = whole.copy()
        half[:22] = False
        found[index] = [
            ProposalMask(index, 1, mask=half, score=0.9, track=1),
            ProposalMask(index, 2, mask=whole, score=0.4, track=0),
        ][:max_objects]
    return found, RunSummary(SUMMARY, len(found))


@pytest.fixture
def quick_tasks(monkeypatch):
    monkeypatch.setattr("smtc_app.jobs.tasks.propagate_task", copying_propagation)
    monkeypatch.setattr("smtc_app.jobs.window_tasks.propagate_task", copying_propagation)
    monkeypatch.setattr("smtc_app.jobs.tasks.propose_task", square_proposals)


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert (image.mode, image.size) == ("P", SIZE)
        return np.asarray(image)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


PNGS = [f"{number:05d}.png" for number in range(FRAMES)]


# What it does


def test_version_is_printed(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.strip() == f"smtc-app {__version__}"


def test_propagate_writes_a_mask_per_frame_and_keeps_the_ids(clip, mask, tmp_path, capsys, quick_tasks):
    out = tmp_path / "out"
    assert main(["propagate", str(clip), "--mask", f"0={mask}", "-o", str(out), "--json"]) == 0
    assert names(out) == [*PNGS, "frames.csv"]
    for name in PNGS:
        np.testing.assert_array_equal(read(out / name), truth(0))
    told = json.loads(capsys.readouterr().out)
    assert (told["objects"], told["frames"], told["keyframes"]) == ([3], FRAMES, [0])
    assert told["model"]["name"] == "copying"
    with (out / "frames.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [f"{n:05d}" for n in range(FRAMES)]
    assert float(rows[3]["timestamp"]) == pytest.approx(0.3)


def test_propagate_takes_several_masks(clip, mask, tmp_path, quick_tasks):
    write_mask(tmp_path / "last.png", truth(5))
    out = tmp_path / "out"
    masks = ["--mask", f"0={mask}", "--mask", f"5={tmp_path / 'last.png'}"]
    assert main(["propagate", str(clip), *masks, "-o", str(out)]) == 0
    np.testing.assert_array_equal(read(out / "00001.png"), truth(0))
    np.testing.assert_array_equal(read(out / "00005.png"), truth(5))
    np.testing.assert_array_equal(read(out / "00004.png"), truth(5))


def test_frames_not_reached_have_no_mask_and_it_is_told(clip, mask, tmp_path, capsys, quick_tasks):
    out = tmp_path / "out"
    arguments = ["--mask", f"2={mask}", "--direction", "forward", "-o", str(out)]
    assert main(["propagate", str(clip), *arguments]) == 0
    assert names(out) == [*PNGS[2:], "frames.csv"]
    assert "2 frames were not reached" in capsys.readouterr().err


@pytest.mark.parametrize("better", [True, False])
def test_adapt_takes_the_adapted_model_only_if_it_is_better(
    clip, mask, tmp_path, capsys, monkeypatch, quick_tasks, better
):
    asked = []

    def adapt_task(ctx, source, keyframes, path, **settings):
        if better:
            path.write_bytes(b"weights")
        return AdaptSummary(0.5, 0.75 if better else 0.5, path if better else None)

    def propagate_task(ctx, source, keyframes, *, model, **settings):
        asked.append(model)
        return copying_propagation(ctx, source, keyframes, **settings)

    monkeypatch.setattr("smtc_app.jobs.adapt_tasks.adapt_task", adapt_task)
    monkeypatch.setattr("smtc_app.jobs.tasks.propagate_task", propagate_task)
    out = tmp_path / "out"
    assert main(["propagate", str(clip), "--mask", f"0={mask}", "-o", str(out), "--adapt"]) == 0
    assert asked == [str(out / "adapted.safetensors") if better else None]
    assert ("75.0%" if better else "does not help") in capsys.readouterr().err


def test_masks_are_named_after_the_images_of_a_folder(mask, tmp_path, quick_tasks):
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(3):
        Image.fromarray(frame(number)).save(folder / f"shot-{number * 5}.png")
    assert main(["propagate", str(folder), "--mask", f"0={mask}", "-o", str(tmp_path / "out")]) == 0
    assert names(tmp_path / "out") == ["frames.csv", "shot-0.png", "shot-10.png", "shot-5.png"]


def test_repaired_masks_are_told(clip, tmp_path, capsys, quick_tasks):
    Image.fromarray((truth(0) > 0).astype(np.uint8) * 255).save(tmp_path / "white.png")
    assert (
        main(["propagate", str(clip), "--mask", f"0={tmp_path / 'white.png'}", "-o", str(tmp_path / "out")])
        == 0
    )
    assert "white.png: 0 and 255 were read as background and one object" in capsys.readouterr().err
    assert read(tmp_path / "out" / "00003.png").max() == 1


def test_propose_writes_masks_and_their_list(clip, tmp_path, capsys, quick_tasks):
    out = tmp_path / "out"
    assert main(["propose", str(clip), "-o", str(out), "--frames", "4,0", "--json"]) == 0
    assert names(out) == ["00000.png", "00004.png", "frames.csv", "proposals.json"]
    rows = json.loads((out / "proposals.json").read_text())
    assert json.loads(capsys.readouterr().out)["proposals"] == rows
    assert [(row["frame"], row["id"]) for row in rows] == [(0, 1), (0, 2), (4, 1), (4, 2)]
    for row in rows:
        y, x = np.nonzero(read(out / f"{row['frame']:05d}.png") == row["id"])
        assert row["area"] == len(y)
        assert row["box"] == [x.min(), y.min(), x.max() + 1, y.max() + 1]
    assert [row["score"] for row in rows] == [0.9, 0.4, 0.9, 0.4]


def test_propose_works_on_the_first_frame_unless_told(clip, tmp_path, quick_tasks):
    assert main(["propose", str(clip), "-o", str(tmp_path / "out"), "--max-objects", "1"]) == 0
    assert names(tmp_path / "out") == ["00000.png", "frames.csv", "proposals.json"]
    assert len(json.loads((tmp_path / "out" / "proposals.json").read_text())) == 1


def make_project(clip: Path, folder: Path) -> Path:
    with open_source(clip) as source:
        document = Document(len(source), source.size)
        stack = UndoStack(document)
        for name in ("ground", "square"):
            stack.push(AddObject(name=name))
        square = next(i for i, info in document.objects.items() if info.name == "square")
        labels = np.where(truth(1) == 3, square, 0).astype(np.uint16)
        stack.push(SetLabels(1, labels, "paint"))
        info = save_project(folder / "work.smtc", document, source, {"preset": "default"})
        document.close()
    return info.path


def test_export_numbers_the_objects_of_a_project(clip, tmp_path, capsys):
    project = make_project(clip, tmp_path)
    out = tmp_path / "out"
    assert main(["export", str(project), "-o", str(out), "--format", "davis", "--json"]) == 0
    assert names(out) == [*PNGS, "export.json", "frames.csv", "provenance.json"]
    np.testing.assert_array_equal(read(out / "00001.png"), truth(1) == 3)
    assert not read(out / "00000.png").any()
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert (told["objects"], told["left_out"]) == ({"1": "square"}, ["ground"])
    assert told["checked"] == "6 masks read back equal."
    assert "5 of 6 frames have no labels" in captured.err
    assert "left out: ground" in captured.err


@pytest.mark.parametrize(
    ("key", "file"),
    [
        ("youtube-vos", "meta.json"),
        ("youtube-vis", "instances.json"),
        ("coco", "annotations.json"),
        ("binary", "1_square/00001.png"),
        ("soft", "1_square/00001.png"),
        ("overlay", "clip_overlay.mp4"),
        ("csv", "objects.csv"),
    ],
)
def test_export_in_every_format(clip, tmp_path, capsys, key, file):
    project = make_project(clip, tmp_path)
    out = tmp_path / "out"
    options = ["--range", "1:", "--step", "2", "--objects", "square"]
    options += {
        "coco": ["--images"],
        "youtube-vis": ["--images"],
        "youtube-vos": ["--images"],
        "overlay": ["--fps", "5"],
        "soft": ["--bits", "16"],
    }.get(key, [])
    assert main(["export", str(project), "-o", str(out), "--format", key, *options, "--json"]) == 0
    assert (out / file).is_file()
    told = json.loads(capsys.readouterr().out)
    assert (told["format"], told["frames"], told["objects"]) == (key, 3, {"1": "square"})
    with (out / "frames.csv").open(newline="") as opened:
        assert [row["index"] for row in csv.DictReader(opened)] == ["1", "3", "5"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--range", "4"], "not a range of frames such as 10:20"),
        (["--range", "4:4"], "holds no frame"),
        (["--range", "4:99"], "the video has frames 0 to 5"),
        (["--step", "0"], "not a whole number from 1 to 1,000,000"),
        (["--objects", "cat"], "no object 'cat'; there are 1 (ground), 2 (square)"),
        (["--objects", ","], "names no object"),
        (["--objects", "ground"], "nothing to export"),
        (["--format", "gif"], "invalid choice: 'gif'"),
        (["--fps", "0"], "not a number from 0.01"),
        (["--images"], "--images does nothing for --format davis"),
        (["--format", "coco", "--fps", "5"], "take --format overlay"),
        (["--format", "csv", "--opacity", "0.5"], "take --format overlay"),
        (["--bits", "8"], "take --format soft"),
    ],
)
def test_wrong_export_options_are_told(clip, tmp_path, capsys, options, sentence):
    project = make_project(clip, tmp_path)
    assert main(["export", str(project), "-o", str(tmp_path / "out"), *options]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_one_frame_without_labels_is_told_as_one(clip, tmp_path, capsys):
    project = make_project(clip, tmp_path)
    assert main(["export", str(project), "-o", str(tmp_path / "out"), "--range", "1:3"]) == 0
    assert "1 of 2 frames has no labels: its mask is all background." in capsys.readouterr().err


def test_frames_out_of_date_are_exported_and_told(clip, tmp_path, capsys):
    with open_source(clip) as source:
        document = Document(len(source), source.size)
        stack = UndoStack(document)
        stack.push(AddObject(name="square"))
        labels = (truth(0) > 0).astype(np.uint16)
        stack.push(SetLabels(0, labels, "paint"))
        stack.push(ApplyPropagation([(i, labels, {1: 0.9}, (0,)) for i in range(1, FRAMES)]))
        stack.push(SetLabels(4, (truth(4) > 0).astype(np.uint16), "correct"))
        save_project(tmp_path / "work.smtc", document, source, {})
        assert document.stale_spans(1) == [(3, 4), (5, 6)]
        document.close()
    assert main(["export", str(tmp_path / "work.smtc"), "-o", str(tmp_path / "out")]) == 0
    assert "2 frames are out of date since a correction" in capsys.readouterr().err


def test_an_output_in_the_project_leaves_it_as_it_is(clip, tmp_path, capsys):
    project = make_project(clip, tmp_path)
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    for folder in (project, project / "masks", project / "new"):
        for verb in ("export", "run"):
            assert main([verb, str(project), "-o", str(folder), "--overwrite"]) == 2
            assert "is in the project work.smtc" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before


def test_run_replays_a_project_to_the_same_bytes(clip, tmp_path, quick_tasks):
    project = make_project(clip, tmp_path)
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    for name in ("a", "b"):
        assert main(["run", str(project), "-o", str(tmp_path / name)]) == 0
    assert names(tmp_path / "a") == [*PNGS, "export.json", "frames.csv", "provenance.json"]
    np.testing.assert_array_equal(read(tmp_path / "a" / "00005.png"), truth(1) == 3)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before


def test_real_model_follows_a_square(clip, mask, tmp_path):
    out = tmp_path / "out"
    arguments = ["--mask", f"0={mask}", "--model", "colour-texture", "--device", "cpu", "-o", str(out)]
    assert main(["propagate", str(clip), *arguments]) == 0
    for number in range(FRAMES):
        got, expected = read(out / f"{number:05d}.png") == 3, truth(number) == 3
        assert np.count_nonzero(got & expected) / np.count_nonzero(got | expected) > 0.7


def test_run_with_the_real_model_gives_the_same_bytes(clip, tmp_path):
    project = make_project(clip, tmp_path)
    arguments = ["run", str(project), "--model", "colour-texture", "--device", "cpu", "-o"]
    for name in ("a", "b"):
        assert main([*arguments, str(tmp_path / name)]) == 0
    assert read(tmp_path / "a" / "00005.png").max() == 1
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_run_computes_only_what_was_propagated_before(clip, tmp_path, quick_tasks):
    with open_source(clip) as source:
        document = Document(len(source), source.size)
        stack = UndoStack(document)
        stack.push(AddObject(name="square"))
        stack.push(SetLabels(1, (truth(1) > 0).astype(np.uint16), "paint"))
        labels = (truth(2) > 0).astype(np.uint16)
        stack.push(ApplyPropagation([(2, labels, {1: 0.9}, (1,)), (3, labels, {1: 0.8}, (1,))], objects={1}))
        project = save_project(tmp_path / "part.smtc", document, source).path
        document.close()
    assert main(["run", str(project), "-o", str(tmp_path / "out")]) == 0
    filled = [bool(read(tmp_path / "out" / name).any()) for name in PNGS]
    assert filled == [False, True, True, True, False, False]
    np.testing.assert_array_equal(read(tmp_path / "out" / "00002.png"), truth(1) > 0)


# Interruption


def test_interrupting_keeps_what_is_there_and_says_so(clip, mask, tmp_path, capsys, monkeypatch):
    def interrupted(ctx, source, keyframes, **settings):
        for index in range(1, len(source)):
            ctx.partial(Copied(index, keyframes[0], {3: 1.0}, (0,)))
            if index == 2:
                os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("a cancelled task must not go on")

    monkeypatch.setattr("smtc_app.jobs.tasks.propagate_task", interrupted)
    out = tmp_path / "out"
    before = signal.getsignal(signal.SIGINT)
    assert main(["propagate", str(clip), "--mask", f"0={mask}", "-o", str(out)]) == 1
    assert signal.getsignal(signal.SIGINT) is before
    kept = names(out)
    assert kept[:3] == PNGS[:3]
    assert kept[-1] == "frames.csv"
    error = capsys.readouterr().err
    assert f"the masks of {len(kept) - 1} frames are in" in error
    assert error.rstrip().endswith("error: Cancelled.")


def test_an_unexpected_error_is_one_sentence_and_keeps_what_is_there(
    clip, mask, tmp_path, capsys, monkeypatch
):
    def broken(ctx, source, keyframes, **settings):
        ctx.partial(Copied(1, keyframes[0], {3: 1.0}, (0,)))
        raise RuntimeError("a bug\nin two lines")

    monkeypatch.setattr("smtc_app.jobs.tasks.propagate_task", broken)
    out = tmp_path / "out"
    assert main(["propagate", str(clip), "--mask", f"0={mask}", "-o", str(out), "--json"]) == 1
    captured = capsys.readouterr()
    assert "Unexpected RuntimeError: a bug in two lines" in captured.err
    assert "Traceback" not in captured.err
    assert "RuntimeError" in json.loads(captured.out)["error"]
    assert names(out) == [*PNGS[:2], "frames.csv"]


# Bad input


def bad_input(case: str, clip: Path, mask: Path, folder: Path) -> tuple[list[str], str]:
    """Arguments, and what the sentence must name."""
    out = ["-o", str(folder / "out")]
    given = ["--mask", f"0={mask}"]
    broken = folder / "broken.mp4"
    if case == "empty file":
        broken.write_bytes(b"")
        return ["propagate", str(broken), *given, *out], r"broken.mp4 is empty"
    if case == "truncated":
        broken.write_bytes(clip.read_bytes()[:-2000])
        return ["propose", str(broken), *out], r"broken.mp4 is cut off"
    if case == "not a video":
        broken.write_text("a shopping list\n" * 20)
        return ["propose", str(broken), *out], r"broken.mp4 is not a video"
    if case == "zero frames":
        with av.open(str(broken), "w") as container:
            stream = container.add_stream("mpeg4", rate=30)
            stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
            container.start_encoding()
        return ["propose", str(broken), *out], "broken.mp4"
    if case == "empty folder":
        (folder / "none").mkdir()
        return ["propose", str(folder / "none"), *out], "holds no images"
    if case == "folder of videos":
        (folder / "takes").mkdir()
        for name in ("take10.mp4", "take9.MP4", "notes.txt"):
            (folder / "takes" / name).write_bytes(b"x")
        expected = r"2 videos \(take9.MP4, take10.mp4\); open one, .*smtc-app batch"
        return ["propose", str(folder / "takes"), *out], expected
    if case == "missing source":
        return ["propose", str(folder / "gone.mp4"), *out], r"no file or folder .*gone.mp4"
    if case == "missing mask":
        return ["propagate", str(clip), "--mask", f"0={folder / 'gone.png'}", *out], r"no mask .*gone.png"
    if case == "damaged mask":
        (folder / "cut.png").write_bytes(mask.read_bytes()[:60])
        return ["propagate", str(clip), "--mask", f"0={folder / 'cut.png'}", *out], "cut.png"
    if case == "mask of another size":
        write_mask(folder / "small.png", truth(0)[:20])
        return [
            "propagate",
            str(clip),
            "--mask",
            f"0={folder / 'small.png'}",
            *out,
        ], "64x20 but the frames are 64x48"
    if case == "mask of four inks":
        Image.fromarray(frame(0)).convert("CMYK").save(folder / "inks.tif")
        return ["propagate", str(clip), "--mask", f"0={folder / 'inks.tif'}", *out], "colour type CMYK"
    if case == "picture as mask":
        noise = np.random.default_rng(0).integers(0, 255, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / "photo.png")
        return [
            "propagate",
            str(clip),
            "--mask",
            f"0={folder / 'photo.png'}",
            *out,
        ], "picture rather than a mask"
    if case == "ids above 254":
        Image.fromarray(truth(0) * 100).save(folder / "many.png")
        return ["propagate", str(clip), "--mask", f"0={folder / 'many.png'}", *out], "the id 300"
    if case == "empty mask":
        write_mask(folder / "none.png", truth(0) * 0)
        return ["propagate", str(clip), "--mask", f"0={folder / 'none.png'}", *out], "no object in none.png"
    if case == "mask beyond the end":
        return ["propagate", str(clip), "--mask", f"6={mask}", *out], "no frame 6: clip.mkv has frames 0 to 5"
    if case == "proposal beyond the end":
        return ["propose", str(clip), "--frames", "0,99", *out], "no frame 99"
    if case == "two masks for a frame":
        return ["propagate", str(clip), *given, *given, *out], "Frame 0 has two masks"
    if case == "malformed mask":
        return ["propagate", str(clip), "--mask", str(mask), *out], "is not FRAME=PNG"
    if case == "malformed frames":
        return ["propose", str(clip), "--frames", "first", *out], "not a list of frame indices"
    if case == "no mask":
        return ["propagate", str(clip), *out], "--mask"
    if case == "output is a file":
        return ["propagate", str(clip), *given, "-o", str(mask)], "is a file"
    if case == "output cannot be made":
        return ["propagate", str(clip), *given, "-o", str(mask / "below")], "cannot be written"
    if case == "output holds something":
        (folder / "full").mkdir()
        (folder / "full" / "thesis.txt").write_text("years of work")
        return ["propagate", str(clip), *given, "-o", str(folder / "full")], r"already holds thesis.txt"
    if case == "output in a project":
        (folder / "work.smtc").mkdir()
        (folder / "work.smtc" / "project.json").write_text("{}")
        inside = ["-o", str(folder / "work.smtc" / "masks"), "--overwrite"]
        return ["propagate", str(clip), *given, *inside], "is in the project work.smtc"
    if case == "cache is a file":
        return ["propagate", str(clip), *given, "--cache", str(mask), *out], "first.png is a file"
    if case == "project is a file":
        return ["export", str(mask), *out], "first.png is a file: a project is a folder"
    if case == "no such project":
        return ["run", str(folder / "gone.smtc"), *out], "no project"
    if case == "not a project":
        (folder / "frames").mkdir()
        return ["export", str(folder / "frames"), *out], "project"
    if case == "unknown verb":
        return ["annotate", str(clip)], "annotate"
    assert case == "unknown option"
    return ["propose", str(clip), "--colour", "red", *out], "--colour"


BAD_INPUT = [
    "empty file",
    "truncated",
    "not a video",
    "zero frames",
    "empty folder",
    "folder of videos",
    "missing source",
    "missing mask",
    "damaged mask",
    "mask of another size",
    "mask of four inks",
    "picture as mask",
    "ids above 254",
    "empty mask",
    "mask beyond the end",
    "proposal beyond the end",
    "two masks for a frame",
    "malformed mask",
    "malformed frames",
    "no mask",
    "output is a file",
    "output cannot be made",
    "output holds something",
    "output in a project",
    "cache is a file",
    "project is a file",
    "no such project",
    "not a project",
    "unknown verb",
    "unknown option",
]


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_gets_one_sentence_and_exit_code_2(case, clip, mask, tmp_path, capsys, quick_tasks):
    arguments, named = bad_input(case, clip, mask, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert re.search(named, captured.err)
    assert not (tmp_path / "out").exists()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_model_that_does_not_exist_leaves_no_output(clip, mask, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["--mask", f"0={mask}", "--model", str(tmp_path / "gone.safetensors"), "-o", str(out)]
    assert main(["propagate", str(clip), *arguments]) == 2
    assert "gone.safetensors" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_told(clip, tmp_path, capsys):
    clip.chmod(0)
    assert main(["propose", str(clip), "-o", str(tmp_path / "out")]) == 2
    assert "permission denied" in capsys.readouterr().err


def test_a_folder_that_may_not_be_entered_is_told(clip, tmp_path, monkeypatch, capsys):
    shut, stat = tmp_path / "shut", Path.stat

    def refuse(path, **options):
        if shut in path.parents:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", refuse)
    for arguments in (
        ["propose", str(clip), "-o", str(shut / "out")],
        ["propose", str(shut / "clip.mp4"), "-o", str(tmp_path / "out")],
        ["export", str(shut / "work.smtc"), "-o", str(tmp_path / "out")],
    ):
        assert main(arguments) == 2
        said = capsys.readouterr().err
        assert str(shut) in said
        assert "permission denied" in said.lower()
        assert "Unexpected" not in said


def test_errors_are_json_for_machines(tmp_path, capsys):
    assert main(["propose", str(tmp_path / "gone.mp4"), "-o", str(tmp_path / "out"), "--json"]) == 2
    assert "gone.mp4" in json.loads(capsys.readouterr().out)["error"]


def test_overwrite_replaces_an_earlier_output(clip, mask, tmp_path, quick_tasks):
    out = tmp_path / "out"
    arguments = ["propagate", str(clip), "--mask", f"0={mask}", "-o", str(out)]
    assert main(arguments) == 0
    (out / "notes.txt").write_text("mine")
    assert main(arguments) == 2
    assert main([*arguments, "--overwrite"]) == 0
    assert names(out) == [*PNGS, "frames.csv", "notes.txt"]


# The process


def run_module(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    variables = {
        k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    }
    command = [sys.executable, "-m", "smtc_app", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**variables, **environment}
    )


def test_module_runs_and_returns_the_exit_code(tmp_path):
    done = run_module("propose", str(tmp_path / "gone.mp4"), "-o", str(tmp_path / "out"))
    assert done.returncode == 2
    assert done.stderr.startswith("error: There is no file or folder")
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere there always is a display")
def test_without_a_display_the_way_out_is_told():
    done = run_module()
    assert (done.returncode, done.stdout) == (2, "")
    assert "no display" in done.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere there always is a display")
def test_a_display_that_does_not_answer_is_none():
    done = run_module(DISPLAY=":9753")
    assert done.returncode == 2
    assert "no display" in done.stderr


def test_help_and_errors_do_without_torch_and_qt():
    script = (
        "import sys; from smtc_app.cli import main\n"
        "main(['propose', 'gone.mp4', '-o', 'out'])\n"
        "sys.exit(bool({'torch', 'PySide6', 'timm'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False, capture_output=True).returncode == 0


def test_correct_next_lists_frames_with_reasons(clip, tmp_path, capsys):
    with open_source(clip) as source:
        document = Document(len(source), source.size)
        stack = UndoStack(document)
        stack.push(AddObject(name="square"))
        labels = (truth(0) > 0).astype(np.uint16)
        stack.push(SetLabels(0, labels, "paint"))
        steps = [(i, labels, {1: 0.1 if i in (3, 4) else 0.95}, (0,)) for i in range(1, FRAMES)]
        stack.push(ApplyPropagation(steps, objects={1}))
        project = save_project(tmp_path / "doubtful.smtc", document, source).path
        document.close()
    assert main(["correct-next", str(project), "--json"]) == 0
    (first, *_) = json.loads(capsys.readouterr().out)["correct_next"]
    assert first["frame"] in (3, 4)
    assert (first["object"], first["reason"]) == (1, "'square' is lost on 2 frames (3 to 4)")
    assert main(["correct-next", str(project)]) == 0
    assert "lost on 2 frames" in capsys.readouterr().out
