"""The clip that travels with the application, and the whole job on it without a display."""

from __future__ import annotations

import json
import runpy
from dataclasses import dataclass

import numpy as np
import pytest

from smtc_app import cli
from smtc_app.assets import assets_folder
from smtc_app.core.document import ProposalMask
from smtc_app.demo import demo_clip, demo_mask
from smtc_app.io.masks import object_ids
from smtc_app.io.source import open_source
from smtc_app.jobs.model_use import ModelSummary, RunSummary

SUMMARY = ModelSummary("oracle", "00" * 32, False, False, "cpu")


@dataclass
class Frame:
    index: int
    labels: np.ndarray
    confidence: dict[int, float]
    sources: tuple[int, ...] = (0,)


@pytest.fixture
def headless(monkeypatch, tmp_path):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(cli.sys, "platform", "linux")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def oracle(monkeypatch):
    """Tasks that know the answer, so that what the demo does with it can be checked; `off` shifts it, px."""
    settings = {"off": 0}

    def propagate_task(ctx, source, keyframes, **_):
        for index in range(1, len(source)):
            labels = np.roll(demo_mask(source, index), settings["off"], axis=1)
            ctx.partial(Frame(index, labels, dict.fromkeys(object_ids(labels), 1.0)))
        return RunSummary(SUMMARY, len(source) - 1)

    def propose_task(ctx, source, frames, **_):
        masks = {f: demo_mask(source, f) for f in frames}
        found = {
            f: [ProposalMask(f, i, mask=labels == i, score=0.5, track=i) for i in object_ids(labels)]
            for f, labels in masks.items()
        }
        return found, RunSummary(SUMMARY, len(frames))

    monkeypatch.setattr("smtc_app.jobs.tasks.propagate_task", propagate_task)
    monkeypatch.setattr("smtc_app.jobs.tasks.propose_task", propose_task)
    return settings


def test_clip_and_masks_belong_together():
    with open_source(demo_clip()) as source:
        assert (len(source), source.size) == (48, (480, 270))
        masks = [demo_mask(source, index) for index in range(len(source))]
    assert object_ids(masks[0]) == [1, 2, 3, 4]
    areas = np.array([np.bincount(labels.ravel(), minlength=5)[1:] for labels in masks])
    assert (areas > 500).all()
    assert (areas.max(axis=0) > 1.3 * areas.min(axis=0)).all()  # growing, or hidden in part


def test_the_committed_script_makes_the_committed_clip():
    made = runpy.run_path(str(assets_folder() / "demo" / "make_clip.py"))
    with open_source(demo_clip()) as source:
        for index in (0, 31):
            picture, labels = made["render"](index)
            assert np.mean(labels != demo_mask(source, index)) < 1e-3
            error = picture.astype(float) - source[index]
            assert 10 * np.log10(255**2 / np.mean(error**2)) > 32


def test_without_a_display_the_demo_does_the_whole_job(headless, oracle, capsys):
    assert cli.main(["--demo", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["J&F"] == 1.0
    out = headless / "smtc-demo"
    assert sorted(p.name for p in out.iterdir()) == ["masks", "overlay.mp4", "proposals"]
    assert len(list((out / "masks").glob("*.png"))) == 48
    assert (out / "masks" / "frames.csv").is_file()
    assert [row["id"] for row in json.loads((out / "proposals" / "proposals.json").read_text())] == [
        1,
        2,
        3,
        4,
    ]
    with open_source(out / "overlay.mp4") as overlay:
        assert (len(overlay), overlay.size) == (48, (480, 270))


def test_the_score_is_measured_and_printed_for_people(headless, oracle, capsys):
    oracle["off"] = 12
    assert cli.main(["--demo", "-o", "elsewhere"]) == 0
    captured = capsys.readouterr()
    words = captured.out.split()
    assert words[0] == "J&F"
    assert 0.3 < float(words[1]) < 0.9
    assert "corrected frame 0 with the exact mask" in captured.err
    assert (headless / "elsewhere" / "overlay.mp4").is_file()


def test_the_demo_can_be_repeated_but_overwrites_nothing_else(headless, oracle, capsys):
    assert cli.main(["--demo"]) == 0
    assert cli.main(["--demo"]) == 0
    (headless / "smtc-demo" / "thesis.txt").write_text("years of work")
    assert cli.main(["--demo"]) == 2
    assert "already holds thesis.txt" in capsys.readouterr().err


def test_demo_and_a_source_exclude_each_other(headless, capsys):
    assert cli.main(["--demo", str(demo_clip())]) == 2
    assert "not both" in capsys.readouterr().err
