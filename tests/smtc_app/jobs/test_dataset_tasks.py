"""Proposals for many videos: each in its project, nothing accepted, nothing touched that is there."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from smtc_app.core.annotation import ProposalMask
from smtc_app.core.dataset import VideoEntry, VideoState
from smtc_app.io.dataset_state import summarise
from smtc_app.io.project import load_project
from smtc_app.jobs import dataset_tasks
from smtc_app.jobs.context import Cancelled

SUMMARY = SimpleNamespace(model=SimpleNamespace(name="fake", hash="0" * 16))


class Context:
    def __init__(self, cancel_at: int | None = None) -> None:
        self.handed, self.cancel_at = [], cancel_at

    def progress(self, done: int, total: int, message: str = "") -> None:
        if done == self.cancel_at:
            raise Cancelled

    def partial(self, result) -> None:
        self.handed.append(result)

    def cancelled(self) -> bool:
        return False


@pytest.fixture
def entries(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        for frame in range(2):
            cv2.imwrite(str(tmp_path / name / f"{frame:05d}.png"), np.full((30, 40, 3), 90, np.uint8))
    return [VideoEntry(name, tmp_path / name) for name in ("a", "b", "c")]


@pytest.fixture(autouse=True)
def model(monkeypatch):
    def propose_task(ctx, source, frames, **_settings):
        mask = np.zeros((30, 40), bool)
        mask[5:20, 5:20] = True
        ctx.progress(0, 1, "looking for objects")
        ctx.partial((0, ()))
        found = [] if source.path.name == "b" else [ProposalMask(0, 1, mask=mask, score=0.75)]
        return {0: found}, SUMMARY

    monkeypatch.setattr(dataset_tasks, "propose_task", propose_task)


def run(ctx, entries, is_open=lambda name: False):
    def project_of(entry: VideoEntry) -> Path:
        return entry.path.parent / "smtc-projects" / f"{entry.name}.smtc"

    return dataset_tasks.propose_videos_task(ctx, entries, project_of, is_open, {}, max_objects=5), project_of


def test_a_project_with_proposals_and_no_objects_for_each(entries):
    gone = VideoEntry("gone", entries[0].path.parent / "gone.mp4")
    ctx = Context()
    result, project_of = run(ctx, [*entries, gone])
    assert (result.proposed, result.empty, len(result.problems)) == (("a", "c"), ("b",), 1)
    assert ctx.handed == ["a", "c"]
    assert summarise(project_of(entries[0])).state == VideoState.PROPOSED
    assert summarise(project_of(entries[1])) is None
    _info, document = load_project(project_of(entries[0]))
    assert document.objects == {}
    assert [p.score for p in document.proposals(0)] == [0.75]
    again, _ = run(Context(), entries)
    assert again.proposed == ()


def test_an_open_video_is_left_alone_and_a_cancel_keeps_what_is_done(entries):
    result, project_of = run(Context(), entries, is_open=lambda name: name == "a")
    assert result.proposed == ("c",)
    assert summarise(project_of(entries[0])) is None
    with pytest.raises(Cancelled):
        run(Context(cancel_at=2), entries)
    assert summarise(project_of(entries[0])).state == VideoState.PROPOSED
