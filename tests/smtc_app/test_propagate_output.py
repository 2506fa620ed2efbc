"""`smtc-app propagate` with its report, ended early and gone on with, by the real engine."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from smtc_app.cli import main
from smtc_app.cli_context import CommandContext
from smtc_app.core.errors import UserError
from smtc_app.io.davis import write_mask
from smtc_app.io.propagation_report import ReportWriter, areas_and_centroids, read_report
from smtc_app.io.source import open_source
from smtc_app.jobs.context import Cancelled
from smtc_app.propagation_output import STATE_NAME
from smtc_app.verbs import ModelChoice, propagate

COUNT, HEIGHT, WIDTH = 9, 48, 64
CHOICE = ModelChoice("colour-texture", "cpu")


def truth(index: int) -> np.ndarray:
    labels = np.zeros((HEIGHT, WIDTH), np.uint16)
    labels[12:32, 6 + 2 * index : 26 + 2 * index] = 3
    labels[34:46, 40 - 2 * index : 54 - 2 * index] = 5
    return labels


@pytest.fixture
def clip(tmp_path) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    ground = np.random.default_rng(0).integers(60, 110, (HEIGHT, WIDTH, 3), np.uint8)
    for index in range(COUNT):
        picture = ground.copy()
        picture[truth(index) == 3] = (220, 40, 30)
        picture[truth(index) == 5] = (40, 60, 220)
        Image.fromarray(picture).save(folder / f"{index:05d}.png")
    write_mask(tmp_path / "first.png", truth(0))
    write_mask(tmp_path / "sixth.png", truth(6))
    return folder


class Ended(CommandContext):
    """Is cancelled after so many frames, like by Ctrl-C."""

    def __init__(self, after: int | None = None) -> None:
        super().__init__()
        self._after = after

    def partial(self, result) -> None:
        if self._after is not None:
            self._after -= 1
            if not self._after:
                self.cancel()
        super().partial(result)


def run(clip, out, *, after=None, keys=(0,), said=None, device="cpu", **settings):
    masks = {0: clip.parent / "first.png", 6: clip.parent / "sixth.png"}
    with open_source(clip) as source:
        return propagate(
            source,
            out,
            {key: masks[key] for key in keys},
            choice=replace(CHOICE, device=device),
            context=Ended(after),
            say=(said if said is not None else []).append,
            state_every_s=0,
            **settings,
        )


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("keys", [(0,), (6,), (0, 6)])
def test_going_on_gives_the_files_of_an_uninterrupted_run(clip, tmp_path, keys):
    run(clip, tmp_path / "whole", keys=keys, report=tmp_path / "whole.json")
    with pytest.raises(Cancelled):
        run(clip, tmp_path / "parts", keys=keys, report=tmp_path / "parts.json", after=4)
    assert (tmp_path / "parts" / STATE_NAME).exists()
    assert not (tmp_path / "parts.json").exists()
    run(clip, tmp_path / "parts", keys=keys, report=tmp_path / "parts.json", resume=True)
    assert content(tmp_path / "parts") == content(tmp_path / "whole")
    assert read_report(tmp_path / "parts.json") == read_report(tmp_path / "whole.json")
    assert not list(tmp_path.glob("*.part"))


def test_a_run_goes_on_on_another_device(clip, tmp_path):
    """The processor under another name stands for it."""
    run(clip, tmp_path / "whole")
    with pytest.raises(Cancelled):
        run(clip, tmp_path / "parts", after=4)
    run(clip, tmp_path / "parts", device="cpu:0", resume=True)
    assert content(tmp_path / "parts") == content(tmp_path / "whole")


def test_going_on_with_other_arguments_is_refused(clip, tmp_path):
    with pytest.raises(Cancelled):
        run(clip, tmp_path / "out", after=3)
    with pytest.raises(UserError, match="another keyframes"):
        run(clip, tmp_path / "out", keys=(0, 6), resume=True)


def test_overwriting_forgets_the_earlier_run(clip, tmp_path):
    with pytest.raises(Cancelled):
        run(clip, tmp_path / "out", after=3)
    run(clip, tmp_path / "out", keys=(6,), overwrite=True)
    run(clip, tmp_path / "whole", keys=(6,))
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_resume_without_an_earlier_run_starts_and_says_so(clip, tmp_path):
    said = []
    summary = run(clip, tmp_path / "out", resume=True, said=said)
    assert summary["frames"] == COUNT
    assert any("starts from the beginning" in sentence for sentence in said)


def test_masks_without_a_state_are_never_taken_for_an_early_end(clip, tmp_path):
    run(clip, tmp_path / "out")
    before = content(tmp_path / "out")
    with pytest.raises(UserError, match=r"nothing to go on from.*--overwrite"):
        run(clip, tmp_path / "out", resume=True)
    assert content(tmp_path / "out") == before
    assert run(clip, tmp_path / "out", resume=True, overwrite=True)["frames"] == COUNT


def test_an_early_end_names_the_way_on_where_there_is_one(clip, tmp_path):
    said = []
    with pytest.raises(Cancelled):
        run(clip, tmp_path / "out", after=3, said=said)
    assert said[-1].endswith("--resume goes on with it.")


def test_the_report_tells_every_object_of_every_frame(clip, tmp_path):
    report_path, out = tmp_path / "deep" / "report.json", tmp_path / "out"
    arguments = ["--mask", f"0={tmp_path / 'first.png'}", "-o", str(out), "--report", str(report_path)]
    assert main(["propagate", str(clip), *arguments, "--model", "colour-texture", "--device", "cpu"]) == 0
    report = read_report(report_path)
    assert (report["objects"], report["keyframes"], report["seed"]) == ([3, 5], [0], 0)
    assert report["settings"] == {"direction": "both", "preset": "default"}
    assert len(report["model"]["hash"]) == 64
    assert [row["frame"] for row in report["frames"]] == list(range(1, COUNT))
    for row in report["frames"]:
        labels = np.asarray(Image.open(out / f"{row['frame']:05d}.png"))
        assert [entry["id"] for entry in row["objects"]] == [3, 5]
        for entry in row["objects"]:
            y, x = np.nonzero(labels == entry["id"])
            assert entry["area"] == len(y)
            assert entry["centroid"] == pytest.approx([x.mean() + 0.5, y.mean() + 0.5], abs=0.01)
            assert 0 < entry["consistency"] <= 1


def test_areas_and_centroids_of_nothing_are_empty():
    assert areas_and_centroids(np.zeros((4, 4), np.uint16)) == ({}, {})


def test_half_a_row_that_a_crash_left_is_dropped(tmp_path):
    path = tmp_path / "report.json"
    writer = ReportWriter(path)
    for frame in (1, 2):
        writer.add(frame, truth(0), confidence={3: 0.5}, consistency={}, sources=(0,))
    writer.close()
    part = tmp_path / "report.json.part"
    part.write_bytes(part.read_bytes()[:-7])
    again = ReportWriter(path, resume=True)
    assert [row["frame"] for row in again.rows()] == [1]
    again.add(2, truth(1), confidence={3: 0.25}, consistency={3: 1.0}, sources=(0,))
    assert [row["objects"][0]["confidence"] for row in again.rows()] == [0.5, 0.25]
    again.close()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda r: r.update(schema="other"), "schema"),
        (lambda r: r.update(version=9), "version"),
        (lambda r: r.pop("seed"), "seed"),
        (lambda r: r["frames"].append(r["frames"][0]), "out of order"),
        (lambda r: r["frames"][0].update(sources=[5]), "not keyframes"),
        (lambda r: r["frames"][0]["objects"][0].update(id=9), "not listed"),
        (lambda r: r["frames"][0]["objects"][0].update(confidence=1.5), "confidence of object 3 is 1.5"),
        (lambda r: r["frames"][0]["objects"][0].update(centroid=None), "centroid"),
    ],
)
def test_a_report_that_is_not_one_is_refused(tmp_path, change, sentence):
    path = tmp_path / "report.json"
    writer = ReportWriter(path)
    writer.add(1, truth(0), confidence={3: 0.5}, consistency={3: 0.5}, sources=(0,))
    writer.finish(
        {
            "source": {"frames": 4},
            "model": {},
            "device": "cpu",
            "settings": {},
            "seed": 0,
            "objects": [3],
            "keyframes": [0],
            "correct_next": [],
        }
    )
    report = read_report(path)
    change(report)
    path.write_text(json.dumps(report))
    with pytest.raises(UserError, match=sentence):
        read_report(path)
