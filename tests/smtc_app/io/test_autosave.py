"""Work survives kill -9 at any moment; a full disk is told; nothing is offered that is not there."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
from small_documents import FRAMES, H, W, blob, contents

from smtc_app.core.annotation import ProposalMask
from smtc_app.core.commands import (
    AcceptProposals,
    AddObject,
    ApplyPropagation,
    LockFrames,
    MergeObjects,
    PaintStroke,
    RemoveObjects,
    RenameObject,
    ReorderObjects,
    SetKeyframe,
    SetLabels,
)
from smtc_app.core.document import Document
from smtc_app.core.undo import UndoStack
from smtc_app.io import autosave as autosave_module
from smtc_app.io.autosave import Autosave
from smtc_app.io.project import SourceInfo, load_project, save_project
from smtc_app.io.project_lock import ProjectLock
from smtc_app.io.recovery import find_recovery, list_recoveries


@pytest.fixture(autouse=True)
def recovery_root(tmp_path, monkeypatch):
    monkeypatch.setenv("SMTC_RECOVERY_DIR", str(tmp_path / "recovery"))
    return tmp_path / "recovery"


@pytest.fixture
def source(tmp_path):
    return SourceInfo(tmp_path / "clip.mp4", "video", "f" * 64, FRAMES, (W, H), 25.0)


@pytest.fixture
def document():
    return Document(FRAMES, (W, H))


@pytest.fixture
def stack(document):
    return UndoStack(document)


@pytest.fixture
def opened():
    """Autosaves that a failing test must not leave running."""
    running = []
    yield running
    for autosave in running:
        autosave.close(discard=False)


def crash(autosave):
    """What a kill -9 leaves: the journal as it is, and no lock."""
    assert autosave.flush()
    autosave.close(discard=False)


def edit_all_sorts(stack):
    for name in ("dog", "cat", "bird"):
        stack.push(AddObject(name))
    stack.push(PaintStroke(0, blob(0), 1))
    for frame in range(1, 12):
        stack.push(ApplyPropagation([(frame, blob(frame), {1: frame / 20}, (0,))], objects={1}))
    stack.push(PaintStroke(6, blob(99), 1))
    stack.push(PaintStroke(20, blob(20, 2), 2))
    stack.push(SetKeyframe([2, 24], True))
    stack.push(MergeObjects(2, 3))
    stack.push(RenameObject(1, "wölf"))
    stack.push(ReorderObjects([3]))
    stack.push(LockFrames([1, 3]))
    stack.push(LockFrames(3, False))
    stack.undo()
    stack.undo()
    stack.redo()


def test_an_unsaved_document_is_recovered(document, stack, source, recovery_root):
    autosave = Autosave(document, source)
    edit_all_sorts(stack)
    assert list_recoveries() == [], "it is open in a living window"
    crash(autosave)
    (recovery,) = list_recoveries()
    assert recovery.source == source
    assert recovery.project is None
    assert recovery.steps > 20
    assert contents(recovery.new_document()) == contents(document)
    recovery.discard()
    assert list_recoveries() == []
    assert list(recovery_root.iterdir()) == []


def test_undo_of_a_deletion_is_recovered(document, stack, source):
    autosave = Autosave(document, source)
    edit_all_sorts(stack)
    stack.push(LockFrames([1, 3], False))
    stack.push(RemoveObjects([1, 3]))
    stack.undo()
    crash(autosave)
    assert contents(list_recoveries()[0].new_document()) == contents(document)


def test_work_before_the_autosave_began_is_in_it(document, stack, source):
    edit_all_sorts(stack)
    crash(Autosave(document, source))
    (recovery,) = list_recoveries()
    assert contents(recovery.new_document()) == contents(document)


def test_nothing_done_is_nothing_to_recover(document, stack, source, tmp_path):
    autosave = Autosave(document, source)
    crash(autosave)
    assert list_recoveries() == []
    edit_all_sorts(stack)
    info = save_project(tmp_path / "p", document, source)
    crash(Autosave(document, source, project=info))
    assert find_recovery(info) is None


def test_a_clean_end_leaves_nothing(document, stack, source, tmp_path, recovery_root):
    autosave = Autosave(document, source)
    edit_all_sorts(stack)
    autosave.close(discard=True)
    assert list(recovery_root.iterdir()) == []
    info = save_project(tmp_path / "p", document, source)
    autosave = Autosave(document, source, project=info)
    stack.push(PaintStroke(15, blob(5), 1))
    autosave.close(discard=True)
    assert sorted(file.name for file in info.path.iterdir()) == ["masks", "project.json"]


def test_what_was_done_since_the_save_is_recovered(document, stack, source, tmp_path):
    edit_all_sorts(stack)
    info = save_project(tmp_path / "p", document, source)
    info, loaded = load_project(info.path)
    edits = UndoStack(loaded)
    autosave = Autosave(loaded, source, project=info)
    edits.push(PaintStroke(15, blob(5), 1))
    edits.push(SetLabels(20, np.zeros((H, W), np.uint16)))
    edits.push(ApplyPropagation([(16, blob(7), {1: 0.25}, (15,))], objects={1}))
    crash(autosave)
    info, again = load_project(info.path)
    recovery = find_recovery(info)
    assert (recovery.steps, recovery.project) == (3, info.path)
    assert recovery.apply(again) == 3
    assert contents(again) == contents(loaded)


def test_a_second_crash_after_a_recovery_loses_nothing_either(document, stack, source, tmp_path):
    edit_all_sorts(stack)
    info = save_project(tmp_path / "p", document, source)
    autosave = Autosave(document, source, project=info)
    stack.push(PaintStroke(15, blob(5), 1))
    crash(autosave)

    info, second = load_project(info.path)
    saved, recovery = second.snapshot(), find_recovery(info)
    recovery.apply(second)
    autosave = Autosave(second, source, project=info, saved_state=saved, recovery=recovery)
    UndoStack(second).push(PaintStroke(16, blob(6), 1))
    crash(autosave)
    assert len(list((info.path / "journal").iterdir())) == 1

    info, third = load_project(info.path)
    find_recovery(info).apply(third)
    assert contents(third) == contents(second)
    assert not np.array_equal(contents(third), contents(document))


def test_a_recovered_unsaved_document_moves_to_its_new_journal(document, stack, source, recovery_root):
    autosave = Autosave(document, source)
    edit_all_sorts(stack)
    crash(autosave)
    (recovery,) = list_recoveries()
    second = recovery.new_document()
    autosave = Autosave(second, source, recovery=recovery)
    UndoStack(second).push(PaintStroke(16, blob(6), 1))
    crash(autosave)
    (recovery,) = list_recoveries()
    assert contents(recovery.new_document()) == contents(second)
    assert len(list(recovery_root.iterdir())) == 1


@pytest.mark.parametrize("first_save", [True, False])
@pytest.mark.parametrize("crash_at", ["before the save", "after the save", "after the new journal"])
def test_strokes_during_a_save_survive_a_crash_at_any_point_of_it(
    document, stack, source, tmp_path, first_save, crash_at
):
    stack.push(AddObject("dog"))
    if first_save:
        autosave = Autosave(document, source)
    else:
        autosave = Autosave(document, source, project=save_project(tmp_path / "p", document, source))
    edit_all_sorts(stack)
    save_id = autosave.mark_save()
    state = document.snapshot()
    stack.push(PaintStroke(15, blob(5), 1))
    info = None
    if crash_at != "before the save":
        info = save_project(tmp_path / "p", state, source, save_id=save_id)
    stack.push(PaintStroke(16, blob(6), 1))
    if crash_at == "after the new journal":
        autosave.saved(info, state)
        stack.push(PaintStroke(17, blob(7), 1))
    crash(autosave)
    last = contents(document)

    recovered = [recovery.new_document() for recovery in list_recoveries()]
    if (tmp_path / "p.smtc").exists():
        info, loaded = load_project(tmp_path / "p.smtc")
        recovery = find_recovery(info)
        if recovery is not None:
            recovery.apply(loaded)
        recovered.append(loaded)
    assert last in [contents(found) for found in recovered]
    if crash_at == "after the new journal":
        assert list_recoveries() == []
        assert recovery.steps == 2


def test_a_failed_save_keeps_the_journal_of_the_one_before(document, stack, source, tmp_path):
    info = save_project(tmp_path / "p", document, source)
    autosave = Autosave(document, source, project=info)
    edit_all_sorts(stack)
    autosave.mark_save()
    stack.push(PaintStroke(15, blob(5), 1))
    crash(autosave)
    info, loaded = load_project(info.path)
    find_recovery(info).apply(loaded)
    assert contents(loaded) == contents(document)


def test_a_journal_of_another_save_is_not_used(document, stack, source, tmp_path):
    info = save_project(tmp_path / "p", document, source)
    autosave = Autosave(document, source, project=info)
    edit_all_sorts(stack)
    crash(autosave)
    again = save_project(tmp_path / "p", document, source)
    assert find_recovery(again) is None
    assert find_recovery(info) is not None


def test_a_torn_end_costs_only_the_last_step(document, stack, source):
    autosave = Autosave(document, source)
    states = [contents(document)]
    stack.push(AddObject("dog"))
    states.append(contents(document))
    for frame in range(3):
        stack.push(PaintStroke(frame, blob(frame), 1))
        states.append(contents(document))
    crash(autosave)
    (file,) = autosave.folder.glob("*.journal")
    whole = file.read_bytes()
    seen = []
    for length in range(len(whole) - 1, 0, -5):
        file.write_bytes(whole[:length])
        recoveries = list_recoveries()
        if not recoveries:
            break
        found = states.index(contents(recoveries[0].new_document()))
        if not seen or found != seen[-1]:
            seen.append(found)
    assert seen == [3, 2, 1]
    for position in range(0, len(whole), 97):
        damaged = bytearray(whole)
        damaged[position] ^= 0x41
        file.write_bytes(damaged)
        for recovery in list_recoveries():
            assert contents(recovery.new_document()) in states


def test_a_full_disk_is_told_and_the_journal_resumes_by_itself(document, stack, source, monkeypatch, opened):
    problems = []
    autosave = Autosave(document, source, on_problem=problems.append)
    opened.append(autosave)
    stack.push(AddObject("dog"))
    assert autosave.flush()
    write, full = os.write, threading.Event()

    def limited(descriptor, data):
        if full.is_set():
            write(descriptor, bytes(data)[:10])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", limited)
    full.set()
    stack.push(PaintStroke(0, blob(0), 1))
    stack.push(PaintStroke(1, blob(1), 1))
    assert autosave.flush()
    assert not autosave.working
    assert "the disk is full" in problems[0]
    full.clear()
    stack.push(PaintStroke(2, blob(2), 1))
    assert autosave.flush()
    assert autosave.working
    opened.clear()
    crash(autosave)
    assert contents(list_recoveries()[0].new_document()) == contents(document)


def test_no_place_for_a_journal_is_told(document, stack, source, tmp_path, monkeypatch, opened):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SMTC_RECOVERY_DIR", str(tmp_path / "file" / "inside"))
    problems = []
    autosave = Autosave(document, source, on_problem=problems.append)
    opened.append(autosave)
    stack.push(AddObject("dog"))
    assert autosave.flush()
    assert not autosave.working
    assert "Autosave does not work" in problems[0]
    assert list_recoveries() == []


def test_a_long_journal_is_written_anew_with_what_counts(document, stack, source, monkeypatch):
    monkeypatch.setattr(autosave_module, "_COMPACT_BYTES", 20_000)
    autosave = Autosave(document, source)
    stack.push(AddObject("dog"))
    for seed in range(300):
        stack.push(SetLabels(seed % 3, blob(seed)))
        assert autosave.flush()
    crash(autosave)
    (file,) = autosave.folder.glob("*.journal")
    assert file.stat().st_size < 40_000
    assert contents(list_recoveries()[0].new_document()) == contents(document)


def proposals_on(frame, count=2):
    return [
        ProposalMask(frame, n + 1, mask=blob(10 * frame + n) > 0, score=0.5 + n / 8, track=n, slot=n)
        for n in range(count)
    ]


def told(proposals):
    return [(p.frame, p.id, p.score, p.slot, p.track, p.box, p.mask.tobytes()) for p in proposals]


def test_proposals_alone_bring_nothing_back(document, stack, source):
    autosave = Autosave(document, source)
    document.suggest({0: proposals_on(0)})
    crash(autosave)
    assert list_recoveries() == []


@pytest.mark.parametrize("early", [False, True])
def test_proposals_come_back_with_the_work(document, stack, source, early):
    if early:  # in the checkpoint that the journal begins with
        document.suggest({f: proposals_on(f) for f in (0, 4, 5)})
    autosave = Autosave(document, source)
    if not early:
        document.suggest({f: proposals_on(f) for f in (0, 4, 5)})
    stack.push(AcceptProposals(4, [1]))
    document.suggest({5: ()})
    crash(autosave)
    (recovery,) = list_recoveries()
    assert recovery.steps == 1
    again = recovery.new_document()
    assert again.proposal_frames == (0, 4)
    for frame in (0, 4):
        assert told(again.proposals(frame)) == told(document.proposals(frame))
    assert contents(again) == contents(document)


def test_proposals_of_a_project_outlast_a_crash(document, stack, source, tmp_path):
    document.suggest({0: proposals_on(0), 3: proposals_on(3)})
    info = save_project(tmp_path / "a", document, source)
    autosave = Autosave(document, source, project=info)
    stack.push(AddObject("dog"))
    document.suggest({3: ()})
    crash(autosave)
    info, again = load_project(info.path)
    find_recovery(info).apply(again)
    assert again.proposal_frames == (0,)
    assert told(again.proposals(0)) == told(document.proposals(0))


# Kill -9

STEPS_MODULE = textwrap.dedent(
    """
    import numpy as np
    from smtc_app.core.commands import ApplyPropagation, PaintStroke

    def pattern(step, shape):
        \"\"\"Labels of object 1 that spell the number of the step in their first row.\"\"\"
        labels = np.zeros(shape, np.uint16)
        labels[0, :20] = [step >> bit & 1 for bit in range(20)]
        labels[1 + step % 7 :, step % 11 :] = 1
        return labels

    def frame_of(step):
        return 20 + step // 5 % 5 if step % 5 == 4 else step % 20

    def command(step, document):
        frame, labels = frame_of(step), pattern(step, document.shape)
        if step % 5 == 4:
            return ApplyPropagation([(frame, labels, {1: 0.5}, (0,))], objects={1}, run=step)
        return PaintStroke(frame, labels, 1)
    """
)
CHILD = textwrap.dedent(
    """
    import os, sys, threading, time
    from pathlib import Path
    from smtc_app.core.undo import UndoStack
    from smtc_app.io.autosave import Autosave
    from smtc_app.io.project import load_project, save_project
    from smtc_app.io.project_lock import ProjectLock
    from smtc_app.io.recovery import find_recovery
    from steps import command

    delay_s, write = float(sys.argv[3]), os.write

    def slow(descriptor, data):
        if delay_s and threading.current_thread().name == "autosave":
            time.sleep(delay_s)
        return write(descriptor, data)

    os.write = slow  # a machine that hardly ever lets the journal's thread run
    info, document = load_project(Path(sys.argv[1]))
    lock = ProjectLock(info.path).acquire()
    saved_state, recovery = document.snapshot(), find_recovery(info)
    if recovery is not None:
        recovery.apply(document)
    stack = UndoStack(document)
    autosave = Autosave(document, info.source, project=info, saved_state=saved_state, recovery=recovery)
    assert autosave.flush()
    print("ready", flush=True)
    saving, saved = None, []

    def save(state, save_id):
        saved.append((save_project(info.path, state, info.source, save_id=save_id), state))

    for step in range(int(sys.argv[2]), 1_000_000):
        stack.push(command(step, document))
        print(step, flush=True)
        if saving is not None and not saving.is_alive():
            autosave.saved(*saved.pop())
            saving = None
        if saving is None and step % 10 == 0:
            save_id = autosave.mark_save()
            saving = threading.Thread(target=save, args=(document.snapshot(), save_id))
            saving.start()
    """
)


def expected_masks(steps, namespace):
    masks = [np.zeros((H, W), np.uint16)] * FRAMES
    for step in range(1, steps + 1):
        masks[namespace["frame_of"](step)] = namespace["pattern"](step, (H, W))
    return masks


def last_step(document, namespace):
    """The newest step that a document holds, after checking that it holds every one before it."""
    numbers = []
    for frame in range(FRAMES):
        bits = document.labels(frame)[0, :20]
        numbers.append(sum(int(bit) << place for place, bit in enumerate(bits)))
    newest = max(numbers)
    for frame, mask in enumerate(expected_masks(newest, namespace)):
        assert np.array_equal(document.labels(frame), mask), f"frame {frame} is not as of step {newest}"
    return newest


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is a signal of POSIX systems")
@pytest.mark.parametrize("delay_s", [0, 0.06], ids=["quick", "starved"])
def test_kill_9_at_random_moments_loses_at_most_the_last_stroke(document, stack, source, tmp_path, delay_s):
    """One project is worked on, saved and killed again and again; the next window always goes on from there.

    delay_s: how long every write of the journal takes; it must cost time then, and no strokes.
    SMTC_KILLS (20) and SMTC_KILL_SEED (7) in the environment choose how often, and when.
    """
    namespace = {}
    exec(STEPS_MODULE, namespace)
    (tmp_path / "steps.py").write_text(STEPS_MODULE)
    (tmp_path / "child.py").write_text(CHILD)
    stack.push(AddObject("dog"))
    info = save_project(tmp_path / "p", document, source)
    kills = int(os.environ.get("SMTC_KILLS", "20"))
    chance = random.Random(int(os.environ.get("SMTC_KILL_SEED", "7")))
    longest = 60
    if delay_s:
        kills, longest = max(5, kills // 4), 12
    reached, recoveries = 0, 0
    for _ in range(kills):
        process = subprocess.Popen(
            [sys.executable, str(tmp_path / "child.py"), str(info.path), str(reached + 1), str(delay_s)],
            stdout=subprocess.PIPE,
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert process.stdout.readline() == b"ready\n", "the window after a kill did not open"
        # It runs ahead of what is read here, so the signal meets it anywhere: painting, writing, saving.
        for _ in range(chance.randrange(1, longest)):
            line = process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        whole_lines = (line + process.stdout.read()).decode().rpartition("\n")[0]
        told = int(whole_lines.split()[-1])
        process.wait()
        process.stdout.close()

        info, recovered = load_project(info.path)
        with ProjectLock(info.path):
            recovery = find_recovery(info)
            if recovery is not None:
                recovery.apply(recovered)
                recoveries += 1
        reached = last_step(recovered, namespace)
        # One stroke may be lost; a propagated frame behind it can be made again. One step may have been
        # written but not yet told.
        last_stroke = told - 1 if told % 5 == 4 else told
        assert last_stroke - 1 <= reached <= told + 1
    assert recoveries > kills // 4
    assert reached > (5 if not delay_s else 1) * kills
