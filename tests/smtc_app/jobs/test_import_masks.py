"""Real annotations come in and go out again as they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from smtc_app.core.annotation import FrameStatus
from smtc_app.core.document import Document
from smtc_app.core.errors import UserError
from smtc_app.core.export import ExportRequest
from smtc_app.core.import_commands import ImportMask, ObjectHint
from smtc_app.core.undo import UndoStack
from smtc_app.io.source import open_source
from smtc_app.jobs.export_tasks import export_task
from smtc_app.jobs.window_tasks import import_masks_task

SIZE = (12, 8)


class Context:
    def __init__(self, take=None) -> None:
        self._take = take

    def progress(self, done, total, message="") -> None:
        assert done <= total

    def partial(self, result) -> None:
        self._take(result)

    def cancelled(self) -> bool:
        return False


def labels(*ids: int) -> np.ndarray:
    found = np.zeros(SIZE[::-1], np.uint16)
    for object_id in ids:
        found[object_id % 8, 2:6] = object_id
    return found


def test_an_import_is_one_step_and_names_new_objects():
    document = Document(4, SIZE)
    stack = UndoStack(document)
    hints = {2: ObjectHint("Rex", "dog"), 5: ObjectHint(category="ball")}
    token = object()
    for frame, ids in enumerate([(2,), (2, 5), (5,)]):
        stack.push(ImportMask(frame, labels(*ids), hints=hints, run=token))
    stack.close_step()
    assert stack.undo_text == "Import 3 masks"
    assert [(i.id, i.name, i.category) for i in document.objects.values()] == [
        (2, "Rex", "dog"),
        (5, "object 5", "ball"),
    ]
    assert document.keyframes == (0, 1, 2)
    assert document.status(1, 5) == FrameStatus.MANUAL
    stack.undo()
    assert not document.objects
    assert document.labelled_frames == ()
    stack.redo()
    np.testing.assert_array_equal(document.labels(1), labels(2, 5))
    document.close()


def test_imports_of_different_runs_stay_apart():
    document = Document(4, SIZE)
    stack = UndoStack(document)
    stack.push(ImportMask(0, labels(1), run=object()))
    stack.push(ImportMask(1, labels(1), run=object()))
    stack.undo()
    assert document.labelled_frames == (0,)
    document.close()


@pytest.mark.parametrize("name", ["schoolgirls-240p", "ytvos-003234408d-180p", "pumavos-caps"])
def test_real_annotations_survive_the_round_trip(shared, tmp_path, name):
    root = shared / "data" / "davis"
    with open_source(root / "JPEGImages" / "480p" / name) as source:
        document = Document(len(source), source.size)
        stack = UndoStack(document)

        def take(message) -> None:
            frame, found, hints = message
            stack.push(ImportMask(frame, found, hints=hints, run="import"))

        notes = import_masks_task(Context(take), source, source.annotations)
        assert notes == []
        masked = document.labelled_frames
        request = ExportRequest(tmp_path / "out", 0, len(source), tuple(document.objects))
        result = export_task(Context(), source, document.snapshot(), request)
        assert [info.id for info in result.objects] == [info.document_id for info in result.objects]
        for frame in masked:
            theirs, ours = source.annotations / f"{source.name(frame)}.png", f"{source.name(frame)}.png"
            with Image.open(theirs) as given, Image.open(tmp_path / "out" / ours) as written:
                np.testing.assert_array_equal(np.asarray(given), np.asarray(written))
        document.close()


def test_a_folder_of_pictures_is_refused(shared):
    with open_source(shared / "data" / "davis" / "JPEGImages" / "480p" / "tennis") as source:
        folder: Path = source.path
        with pytest.raises(UserError, match="is a picture rather than a mask"):
            import_masks_task(Context(lambda message: None), source, folder)
