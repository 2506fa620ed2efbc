"""The new-object alarm in the whole window: looks after a propagation, marks, shows, forgets."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PySide6.QtCore import Qt
from window_fakes import FRAMES, SIZE, propose_task, square
from window_hands import drag, paint_object, press, show_frame, wait_for_jobs

from smtc_app.core.annotation import ProposalMask
from smtc_app.core.new_objects import NewObject, new_objects_from_json, new_objects_to_json
from smtc_app.io.project import load_project
from smtc_app.jobs import file_tasks


@pytest.fixture
def found():
    masks = {4: square(30, 4), 9: square(40, 30)}
    return [NewObject(ProposalMask(f, 1, mask=m, score=0.6, track=1), (f, f + 1)) for f, m in masks.items()]


@pytest.fixture
def alarmed(make_application, qtbot, found):
    """(a window in which a propagation has just ended, what the search was asked)."""
    asked = []

    def task(ctx, source, frames, keyframes, **settings):
        ctx.progress(0, 1)
        asked.append((frames, keyframes))
        return found

    parts = make_application(find_new_objects_task=task)
    parts.project.open("clip.mp4")
    qtbot.waitUntil(lambda: parts.session.pixels is not None)
    paint_object(qtbot, parts, 8, 40)
    press(qtbot, parts, Qt.Key.Key_F)
    wait_for_jobs(qtbot, parts)
    qtbot.waitUntil(lambda: bool(asked))
    wait_for_jobs(qtbot, parts)
    return parts, asked


def test_regions_without_a_label_are_marked_and_shown_by_a_key(alarmed, qtbot):
    parts, asked = alarmed
    document = parts.session.document
    frames, keyframes = asked[0]
    assert sorted(frames) == list(range(1, FRAMES))
    assert all(mask is document.packed(frame) for frame, mask in frames.items())
    assert keyframes == [0]
    assert "2 possible new objects" in parts.window.banner.text
    assert parts.alarm.marked == (4, 9)
    assert document.proposal_frames == (), "nothing is shown before the person looks"
    press(qtbot, parts, Qt.Key.Key_Y)
    qtbot.waitUntil(lambda: parts.session.frame == 4)
    assert "no label covers" in parts.window.banner.text
    assert not document.objects.keys() - {1}
    press(qtbot, parts, Qt.Key.Key_Return)
    assert (document.labels(4)[square(30, 4)] == 2).all()
    assert parts.alarm.marked == (9,), "what is labelled is news no longer"
    press(qtbot, parts, Qt.Key.Key_Y)
    qtbot.waitUntil(lambda: parts.session.frame == 9)
    press(qtbot, parts, Qt.Key.Key_Escape)
    assert parts.alarm.marked == ()


def test_painting_over_a_region_takes_its_mark_away(alarmed, qtbot):
    parts, _ = alarmed
    show_frame(qtbot, parts, 4)
    parts.window.canvas.set_brush_radius_px(8)
    drag(qtbot, parts, [(32, 10), (40, 10)])
    assert parts.alarm.marked == (9,)


def test_marks_do_not_outlast_the_video(alarmed, qtbot):
    parts, _ = alarmed
    parts.session.undo.mark_clean()
    parts.project.open("other.mp4")
    qtbot.waitUntil(lambda: parts.session.source is not None and "other" in str(parts.session.source.path))
    assert parts.alarm.marked == ()
    press(qtbot, parts, Qt.Key.Key_Y)
    assert "No new object" in parts.window.banner.text


def test_the_alarm_can_be_switched_off(make_application, qtbot):
    asked = []
    parts = make_application(find_new_objects_task=lambda *a, **k: asked.append(a) or [])
    parts.alarm.enabled = False
    parts.project.open("clip.mp4")
    qtbot.waitUntil(lambda: parts.session.pixels is not None)
    paint_object(qtbot, parts)
    press(qtbot, parts, Qt.Key.Key_F)
    wait_for_jobs(qtbot, parts)
    assert not asked


@pytest.fixture
def searching(make_application, qtbot, found):
    """A window whose first search for new objects goes on until `parts.enough` is set."""
    asked, enough = [], threading.Event()

    def patient(ctx, source, frames, keyframes, **settings):
        asked.append(frames)
        while len(asked) == 1 and not enough.is_set():
            ctx.progress(0, 1)
        return found

    parts = make_application(find_new_objects_task=patient, propose_task=propose_task)
    parts.asked, parts.enough = asked, enough
    parts.project.open("clip.mp4")
    qtbot.waitUntil(lambda: parts.session.pixels is not None)
    paint_object(qtbot, parts)
    press(qtbot, parts, Qt.Key.Key_F)
    qtbot.waitUntil(lambda: bool(asked))
    return parts


def test_the_search_gives_way_to_proposals(searching, qtbot):
    press(qtbot, searching, Qt.Key.Key_S)
    qtbot.waitUntil(lambda: bool(searching.session.document.proposals(0)))
    assert searching.alarm.marked == ()
    searching.enough.set()
    qtbot.waitUntil(lambda: searching.alarm.marked == (4, 9))
    assert len(searching.asked) == 1, "it went on where it was"


def test_the_search_makes_room_for_a_propagation_and_begins_again(searching, qtbot):
    press(qtbot, searching, Qt.Key.Key_F)
    qtbot.waitUntil(lambda: searching.alarm.marked == (4, 9))
    assert len(searching.asked) > 1


@pytest.mark.parametrize("finds", [True, False])
def test_a_video_that_was_not_searched_yet_is_searched_on_asking(make_application, qtbot, found, finds):
    asked = []

    def task(ctx, source, frames, keyframes, **settings):
        ctx.progress(0, 1)
        asked.append(sorted(frames))
        return found if finds else []

    parts = make_application(find_new_objects_task=task)
    parts.project.open("clip.mp4")
    qtbot.waitUntil(lambda: parts.session.pixels is not None)
    parts.alarm.enabled = False
    paint_object(qtbot, parts, 8, 40)
    press(qtbot, parts, Qt.Key.Key_Y)
    assert "no propagated labels" in parts.window.banner.text
    press(qtbot, parts, Qt.Key.Key_F)
    wait_for_jobs(qtbot, parts)
    assert asked == []
    press(qtbot, parts, Qt.Key.Key_Y)
    wait_for_jobs(qtbot, parts)
    assert asked == [list(range(1, FRAMES))]
    said = "2 possible new objects" if finds else "Nothing without a label"
    qtbot.waitUntil(lambda: said in parts.window.banner.text)
    assert parts.alarm.marked == ((4, 9) if finds else ())


def test_a_search_that_was_asked_for_is_shown_and_ends_when_it_is_cancelled(make_application, qtbot):
    begun = []

    def endless(ctx, source, frames, keyframes, **settings):
        begun.append(True)
        while True:
            ctx.progress(0, 1)

    parts = make_application(find_new_objects_task=endless)
    parts.project.open("clip.mp4")
    qtbot.waitUntil(lambda: parts.session.pixels is not None)
    parts.alarm.enabled = False
    paint_object(qtbot, parts, 8, 40)
    press(qtbot, parts, Qt.Key.Key_F)
    wait_for_jobs(qtbot, parts)
    press(qtbot, parts, Qt.Key.Key_Y)
    qtbot.waitUntil(lambda: "Looking for new objects" in parts.window.job_bar.text)
    qtbot.waitUntil(lambda: bool(begun) and parts.window.actions_table["cancel"].isEnabled())
    press(qtbot, parts, Qt.Key.Key_Escape)
    wait_for_jobs(qtbot, parts)
    assert "was ended" in parts.window.banner.text
    assert len(begun) == 1


@pytest.fixture
def on_disk(make_application, qtbot, found, tmp_path):
    """(makes windows that open and save for real, how often they have searched, the footage)."""
    footage = tmp_path / "clip"
    footage.mkdir()
    for index in range(FRAMES):
        cv2.imwrite(str(footage / f"{index:03}.png"), np.full((SIZE[1], SIZE[0], 3), 9 * index, np.uint8))
    searched = []

    def task(ctx, source, frames, keyframes, **settings):
        searched.append(frames)
        return found

    def make(path):
        parts = make_application(
            find_new_objects_task=task,
            open_task=file_tasks.open_task,
            save_task=file_tasks.save_task,
            make_journal=file_tasks.make_journal,
        )
        parts.project.open(str(path))
        qtbot.waitUntil(lambda: parts.session.pixels is not None)
        return parts

    return make, searched, footage


def test_marks_are_saved_with_the_project_and_come_back(on_disk, qtbot, tmp_path):
    make, searched, footage = on_disk
    parts = make(footage)
    paint_object(qtbot, parts, 8, 40)
    press(qtbot, parts, Qt.Key.Key_F)
    qtbot.waitUntil(lambda: parts.alarm.marked == (4, 9))
    press(qtbot, parts, Qt.Key.Key_Y)
    wait_for_jobs(qtbot, parts)
    project = tmp_path / "work.smtc"
    parts.project.usual_project = lambda: project
    press(qtbot, parts, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: parts.session.project == project)
    wait_for_jobs(qtbot, parts)
    parts.close()
    again = make(project)
    assert again.alarm.marked == (4, 9)
    assert len(searched) == 1
    document = again.session.document
    assert len(document.proposals(4)) == 1, "the one that was looked at is still waiting for its answer"
    press(qtbot, again, Qt.Key.Key_Y)
    qtbot.waitUntil(lambda: again.session.frame == 4)
    assert len(document.proposals(4)) == 1, "and is not proposed twice"
    press(qtbot, again, Qt.Key.Key_Return)
    assert again.alarm.marked == (9,)
    press(qtbot, again, Qt.Key.Key_Y)
    qtbot.waitUntil(lambda: again.session.frame == 9)
    assert np.array_equal(document.proposals(9)[0].mask, square(40, 30))
    press(qtbot, again, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    wait_for_jobs(qtbot, again)
    info, saved = load_project(project)
    saved.close()
    assert [entry["frame"] for entry in info.parameters["new_objects"]] == [9]


def test_what_was_labelled_before_a_crash_is_not_marked_after_it(on_disk, qtbot, tmp_path):
    make, _, footage = on_disk
    parts = make(footage)
    paint_object(qtbot, parts, 8, 40)
    press(qtbot, parts, Qt.Key.Key_F)
    qtbot.waitUntil(lambda: parts.alarm.marked == (4, 9))
    wait_for_jobs(qtbot, parts)
    project = tmp_path / "work.smtc"
    parts.project.usual_project = lambda: project
    press(qtbot, parts, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: parts.session.project == project)
    wait_for_jobs(qtbot, parts)
    press(qtbot, parts, Qt.Key.Key_Y)
    qtbot.waitUntil(lambda: parts.session.frame == 4)
    press(qtbot, parts, Qt.Key.Key_Return)
    assert parts.alarm.marked == (9,)
    parts.autosave._journal.flush()
    shutil.copytree(project, tmp_path / "left.smtc")
    again = make(tmp_path / "left.smtc")
    assert "had not been saved" in again.window.banner.text
    assert again.alarm.marked == (9,)


def test_marks_that_are_found_after_the_last_save_are_kept_without_a_question(
    on_disk, qtbot, tmp_path, monkeypatch
):
    make, searched, footage = on_disk
    parts = make(footage)
    gate, inner = threading.Event(), parts.alarm._services.find_new_objects_task

    def patient(ctx, *arguments, **settings):
        assert gate.wait(10)
        return inner(ctx, *arguments, **settings)

    monkeypatch.setattr(
        parts.alarm, "_services", replace(parts.alarm._services, find_new_objects_task=patient)
    )
    paint_object(qtbot, parts, 8, 40)
    press(qtbot, parts, Qt.Key.Key_F)
    qtbot.waitUntil(lambda: len(parts.session.document.labelled_frames) == FRAMES)
    project = tmp_path / "work.smtc"
    parts.project.usual_project = lambda: project
    press(qtbot, parts, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: parts.session.project == project)
    assert not searched
    gate.set()
    qtbot.waitUntil(lambda: parts.alarm.marked == (4, 9))
    wait_for_jobs(qtbot, parts)
    assert not parts.session.document.modified
    assert "2 possible new objects" in parts.window.banner.text, "and not that something was saved"
    info, saved = load_project(project)
    saved.close()
    assert [entry["frame"] for entry in info.parameters["new_objects"]] == [4, 9]


def test_marks_of_a_damaged_project_are_left_out_one_by_one(found):
    entries = new_objects_to_json(found)
    restored = new_objects_from_json(entries, FRAMES, SIZE)
    assert [alarm.frames for alarm in restored] == [alarm.frames for alarm in found]
    for alarm, other in zip(restored, found, strict=True):
        assert np.array_equal(alarm.proposal.mask, other.proposal.mask)
        assert alarm.proposal.score == other.proposal.score
    entries[0]["mask"] = "no base64"
    assert len(new_objects_from_json(entries, FRAMES, SIZE)) == 1
    entries[1]["score"] = float("inf")
    entries[1]["frame"] = float("inf")  # as JSON has it: 1e999
    assert new_objects_from_json(entries, FRAMES, SIZE) == ()
    entries = new_objects_to_json(found)
    entries[0]["mask"] = "no base64"
    entries[1]["frames"] = [FRAMES]
    assert new_objects_from_json(entries, FRAMES, SIZE) == ()
    for nonsense in (None, {}, [3], [{"frame": 1}], "text"):
        assert new_objects_from_json(nonsense, FRAMES, SIZE) == ()
