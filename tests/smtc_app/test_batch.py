"""A dataset worked through without a window: masks, projects, and a queue that begins with the failures."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from smtc_app.cli import main
from smtc_app.core.annotation import ProposalMask
from smtc_app.io.davis import write_mask
from smtc_app.io.project import load_project
from smtc_app.jobs import window_tasks
from smtc_app.jobs.model_use import ModelSummary, RunSummary

SIZE = (24, 16)
SUMMARY = ModelSummary("copying", "cd" * 32, False, False, "cpu")


class Copied:
    def __init__(self, index, labels, confidence, sources) -> None:
        self.index, self.labels, self.confidence, self.sources = index, labels, confidence, sources


def copying_propagation(ctx, source, keyframes, *, direction, span, objects, **settings):
    """Copies the keyframe; how sure it is depends on the colour of the footage."""
    ((key, labels),) = keyframes.items()
    for index in range(*span):
        if index != key:
            sure = source[index][0, 0, 0] / 255 - index / 1000
            ctx.partial(Copied(index, labels, dict.fromkeys(objects, sure), (key,)))
            ctx.progress(index, span[1])
    return RunSummary(SUMMARY, 0)


def one_proposal(ctx, source, frames, **settings):
    mask = np.zeros(SIZE[::-1], bool)
    mask[2:6, 2:6] = True
    return {0: [ProposalMask(0, 1, mask=mask, score=0.8)]}, RunSummary(SUMMARY, 1)


@pytest.fixture
def dataset(tmp_path, monkeypatch) -> Path:
    """Two sequences with a first mask, one without, one that cannot be read."""
    monkeypatch.setattr(window_tasks, "propagate_task", copying_propagation)
    monkeypatch.setattr("smtc_app.jobs.tasks.propose_task", one_proposal)
    root = tmp_path / "davis"
    for name, brightness in (("dim", 60), ("bright", 200), ("new", 90)):
        frames = root / "JPEGImages" / "480p" / name
        frames.mkdir(parents=True)
        for index in range(4):
            Image.fromarray(np.full((*SIZE[::-1], 3), brightness, np.uint8)).save(frames / f"{index:05d}.png")
        if name != "new":
            masks = root / "Annotations" / "480p" / name
            masks.mkdir(parents=True)
            labels = np.zeros(SIZE[::-1], np.uint16)
            labels[4:10, 4:10], labels[4:10, 12:20] = 2, 5
            write_mask(masks / "00001.png", labels)
    (root / "JPEGImages" / "480p" / "torn").mkdir()
    (root / "JPEGImages" / "480p" / "torn" / "00000.jpg").write_bytes(b"x")
    return root


def test_every_video_is_worked_on_and_queued_by_doubt(dataset, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["batch", str(dataset), "-o", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(row["video"], row["task"]) for row in told["queue"]] == [
        ("torn", "failed"),
        ("dim", "propagated"),
        ("bright", "propagated"),
        ("new", "proposed"),
    ]
    assert told["queue"][1]["worst_frame"] == 3
    assert told["queue"][1]["confidence"] < told["queue"][2]["confidence"] < told["queue"][3]["confidence"]
    assert json.loads((out / "queue.json").read_text()) == told["queue"]
    with (out / "queue.csv").open(newline="") as file:
        assert [row["video"] for row in csv.DictReader(file)] == ["torn", "dim", "bright", "new"]
    masks = out / "Annotations" / "480p" / "dim"
    for index in range(4):
        with Image.open(masks / f"{index:05d}.png") as image:
            values = np.asarray(image)
        assert set(np.unique(values)) == {0, 1, 2}  # numbered from 1 without gaps
    provenance = json.loads((masks / "provenance.json").read_text())
    assert provenance["made_with"]["models"] == [{"name": "copying", "hash": "cd" * 32}]
    assert [info["project_id"] for info in provenance["objects"]] == [2, 5]


def test_projects_are_where_the_browser_looks_and_hold_the_work(dataset, tmp_path):
    assert main(["batch", str(dataset), "-o", str(tmp_path / "out")]) == 0
    info, document = load_project(dataset / "smtc-projects" / "dim.smtc")
    assert list(document.objects) == [2, 5]
    assert document.labelled_frames == (0, 1, 2, 3)
    assert info.model == {"name": "copying", "hash": "cd" * 32}
    assert info.parameters["runs"][0]["keyframes"] == [1]
    document.close()
    _, waiting = load_project(dataset / "smtc-projects" / "new.smtc")
    assert not waiting.objects
    assert len(waiting.proposals(0)) == 1
    waiting.close()


def test_projects_that_are_there_are_kept(dataset, tmp_path, capsys):
    projects = tmp_path / "projects"
    arguments = ["batch", str(dataset), "--projects", str(projects)]
    assert main([*arguments, "-o", str(tmp_path / "one")]) == 0
    before = {p: p.read_bytes() for p in projects.rglob("*") if p.is_file()}
    assert main([*arguments, "-o", str(tmp_path / "two"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [row["task"] for row in told["queue"]] == ["failed", "kept", "kept", "kept"]
    assert {p: p.read_bytes() for p in projects.rglob("*") if p.is_file()} == before


def test_one_task_for_all(dataset, tmp_path, capsys):
    assert main(["batch", str(dataset), "-o", str(tmp_path / "out"), "--task", "propagate", "--json"]) == 0
    queue = json.loads(capsys.readouterr().out)["queue"]
    assert {row["video"]: row["task"] for row in queue}["new"] == "failed"
    assert "no mask beside it" in next(row["note"] for row in queue if row["video"] == "new")


@pytest.mark.parametrize("name", ["", "Annotations", "JPEGImages"])
def test_the_dataset_is_never_the_output(dataset, capsys, name):
    assert main(["batch", str(dataset), "-o", str(dataset / name), "--overwrite"]) == 2
    assert "is the dataset itself" in capsys.readouterr().err


def test_a_full_output_and_an_empty_root_are_told(dataset, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    assert main(["batch", str(dataset), "-o", str(tmp_path / "out")]) == 2
    assert "already holds mine.txt" in capsys.readouterr().err
    (tmp_path / "nothing").mkdir()
    assert main(["batch", str(tmp_path / "nothing"), "-o", str(tmp_path / "two")]) == 2
    assert "holds no videos" in capsys.readouterr().err


def test_nothing_but_failures_is_an_error_and_the_queue_says_why(dataset, tmp_path, capsys):
    (tmp_path / "file").touch()
    arguments = ["batch", str(dataset), "-o", str(tmp_path / "out"), "--projects", str(tmp_path / "file")]
    assert main(arguments) == 2
    assert "No video of" in capsys.readouterr().err
    queue = json.loads((tmp_path / "out" / "queue.json").read_text())
    assert {row["task"] for row in queue} == {"failed"}


def test_an_output_that_is_a_file_is_told_before_anything_is_computed(dataset, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["batch", str(dataset), "-o", str(tmp_path / "file"), "--overwrite"]) == 2
    assert "is a file; choose a folder" in capsys.readouterr().err
    assert not (dataset / "smtc-projects").exists()
