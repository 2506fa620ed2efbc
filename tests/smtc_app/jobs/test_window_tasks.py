"""Tasks as the window asks for them: a source of their own, groups in one job, masks beside the footage."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from smtc_app.core.commands import AddObject, SetLabels
from smtc_app.core.errors import UserError
from smtc_app.core.export import ExportRequest
from smtc_app.core.undo import UndoStack
from smtc_app.io.project_lock import ProjectLock
from smtc_app.io.recovery import list_recoveries
from smtc_app.jobs import export_tasks, file_tasks, window_tasks
from smtc_app.jobs.model_use import RunSummary
from smtc_app.jobs.opened import MasksDamaged, SourceMissing

FRAMES, SIZE = 4, (24, 16)


class Context:
    """Keeps what a task says."""

    def __init__(self) -> None:
        self.reports, self.parts = [], []

    def progress(self, done, total, message=""):
        self.reports.append((done, total))

    def partial(self, result):
        self.parts.append(result)

    def cancelled(self):
        return False


@pytest.fixture
def folder(tmp_path):
    frames = tmp_path / "JPEGImages" / "480p" / "clip"
    frames.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index in range(FRAMES):
        Image.fromarray(rng.integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)).save(
            frames / f"{index:05d}.png"
        )
    return frames


@pytest.fixture
def opened(folder):
    result = file_tasks.open_task(Context(), folder)
    yield result
    result.close()


def labelled(document):
    undo = UndoStack(document)
    undo.push(AddObject())
    labels = np.zeros((SIZE[1], SIZE[0]), np.uint16)
    labels[2:9, 3:12] = 1
    undo.push(SetLabels(1, labels))
    return labels


def test_footage_opens_with_an_empty_document_of_its_size(opened):
    assert (opened.document.frame_count, opened.document.size) == (FRAMES, SIZE)
    assert opened.first_mask is None


def test_the_first_mask_beside_the_footage_is_found(folder):
    masks = folder.parents[2] / "Annotations" / "480p" / "clip"
    masks.mkdir(parents=True)
    Image.new("L", SIZE, 1).save(masks / "00002.png")
    opened = file_tasks.open_task(Context(), folder)
    assert opened.first_mask == (2, masks / "00002.png")
    opened.close()


def test_a_saved_project_opens_again_with_its_labels_and_is_locked_meanwhile(opened, tmp_path):
    labels = labelled(opened.document)
    state = opened.document.snapshot()
    info, release = file_tasks.save_task(
        Context(), tmp_path / "mine.smtc", state, opened.source, {"a": 1}, None
    )
    assert ProjectLock.held_here(info.path)
    with pytest.raises(UserError, match="already open"):
        file_tasks.open_task(Context(), info.path)
    release()
    again = file_tasks.open_task(Context(), info.path)
    assert np.array_equal(again.document.labels(1), labels)
    assert again.info.parameters == {"a": 1}
    again.close()
    assert not ProjectLock.held_here(info.path)


def test_saving_a_project_that_is_held_keeps_its_lock(opened, tmp_path):
    state = opened.document.snapshot()
    info, release = file_tasks.save_task(Context(), tmp_path / "mine.smtc", state, opened.source, {}, None)
    _, second = file_tasks.save_task(Context(), info.path, state, opened.source, {}, None)
    assert second is None
    assert ProjectLock.held_here(info.path)
    release()


def test_a_project_without_its_video_says_so_and_is_not_left_locked(opened, folder, tmp_path):
    info, release = file_tasks.save_task(
        Context(), tmp_path / "mine.smtc", opened.document.snapshot(), opened.source, {}, None
    )
    release()
    folder.rename(tmp_path.parent / f"{tmp_path.name}-moved")
    missing = file_tasks.open_task(Context(), info.path)
    assert isinstance(missing, SourceMissing)
    assert not ProjectLock.held_here(info.path)
    found = file_tasks.open_task(Context(), info.path, False, tmp_path.parent / f"{tmp_path.name}-moved")
    assert found.document.frame_count == FRAMES
    found.close()


def test_unsaved_work_whose_video_has_moved_is_restored_on_the_video_that_is_shown(
    opened, folder, tmp_path, monkeypatch
):
    monkeypatch.setenv("SMTC_RECOVERY_DIR", str(tmp_path / "recovery"))
    journal = file_tasks.make_journal(opened, lambda problem: None)
    UndoStack(opened.document).push(AddObject("dog"))
    assert journal.flush()
    journal.close(discard=False)
    (recovery,) = list_recoveries()
    moved = folder.rename(tmp_path.parent / f"{tmp_path.name}-away")
    missing = file_tasks.restore_task(Context(), recovery)
    assert isinstance(missing, SourceMissing)
    assert str(folder) in missing.sentence
    restored = file_tasks.restore_task(Context(), recovery, moved)
    assert [thing.name for thing in restored.document.objects.values()] == ["dog"]
    assert restored.source.path == moved
    restored.close()


def test_a_project_with_a_damaged_mask_says_so_and_opens_without_it(opened, tmp_path):
    target = tmp_path / "mine.smtc"
    labelled(opened.document)
    _, release = file_tasks.save_task(Context(), target, opened.document.snapshot(), opened.source, {}, None)
    release()
    damaged = sorted((target / "masks").iterdir())[0]
    damaged.write_bytes(b"")
    result = file_tasks.open_task(Context(), target)
    assert isinstance(result, MasksDamaged)
    assert str(damaged) in result.sentence
    assert "open the project without it" in result.sentence
    assert not ProjectLock.held_here(target)
    rest = file_tasks.open_task(Context(), target, repair=True)
    assert list(rest.document.objects) == list(opened.document.objects)
    assert str(damaged) in rest.notes[0]
    assert damaged.exists()
    rest.close()


def test_exported_masks_are_renumbered_and_counted(opened, tmp_path):
    labels = labelled(opened.document)
    ctx = Context()
    result = export_tasks.export_task(
        ctx, opened.source, opened.document.snapshot(), ExportRequest(tmp_path / "out", 1, 3, (1,))
    )
    assert result.frames == 2
    assert ctx.reports[-1] == (4, 4)  # written, and read back
    assert np.array_equal(np.array(Image.open(tmp_path / "out" / "00001.png")), labels)


def test_every_job_reads_through_a_source_of_its_own(opened):
    seen = []

    def task(ctx, source):
        seen.append(source)
        return source[0]

    assert window_tasks.on_own_source(task)(Context(), opened.source).shape == (SIZE[1], SIZE[0], 3)
    assert seen[0] is not opened.source


def test_groups_run_one_after_the_other_with_progress_over_all(monkeypatch):
    def propagate(ctx, source, keyframes, *, direction, span, objects, **_settings):
        todo = [frame for frame in range(*span) if frame not in keyframes]
        for done, frame in enumerate(todo, start=1):
            ctx.partial(frame)
            ctx.progress(done, len(todo))
        return RunSummary(SimpleNamespace(), len(todo), fell_back_to_cpu=2 in objects)

    monkeypatch.setattr(window_tasks, "propagate_task", propagate)
    groups = [(frozenset({1}), {0: None}, "forward", (0, 3)), (frozenset({2}), {2: None}, "both", (0, 4))]
    ctx = Context()
    summary = window_tasks.propagate_groups_task(ctx, None, groups)
    assert ctx.parts == [({1}, 1), ({1}, 2), ({2}, 0), ({2}, 1), ({2}, 3)]
    assert ctx.reports == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    assert (summary.frames, summary.fell_back_to_cpu) == (5, True)
