"""Projects come back exactly, are saved whole or not at all, and say clearly what is wrong with them."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_documents import FRAMES, H, W, blob, contents

from smtc_app.core.annotation import FrameStatus, ProposalMask
from smtc_app.core.commands import (
    AddObject,
    ApplyPropagation,
    LockFrames,
    PaintStroke,
    RecolourObject,
    RejectProposals,
    RemoveObjects,
    SetKeyframe,
    SetLabels,
    SetObjectProperty,
)
from smtc_app.core.document import Document
from smtc_app.core.errors import UserError
from smtc_app.core.palette import davis_palette
from smtc_app.core.undo import UndoStack
from smtc_app.io import project_commit, project_schema
from smtc_app.io.project import DamagedMasksError, SourceInfo, is_project, load_project, save_project
from smtc_app.io.project_lock import ProjectInUseError, ProjectLock


@pytest.fixture
def source(tmp_path):
    return SourceInfo(tmp_path / "clips" / "dog.mp4", "video", "f" * 64, FRAMES, (W, H), 24.5)


@pytest.fixture
def document():
    return Document(FRAMES, (W, H))


@pytest.fixture
def stack(document):
    """A document with some of everything."""
    stack = UndoStack(document)
    stack.push(AddObject("dög", category="animal"))
    stack.push(AddObject("big", object_id=3000))
    stack.push(RecolourObject(1, (1, 2, 3)))
    stack.push(PaintStroke(0, blob(0), 1))
    for frame in range(1, 12):
        stack.push(ApplyPropagation([(frame, blob(frame), {1: frame / 20}, (0,))], objects={1}))
    stack.push(PaintStroke(20, blob(20, 3000), 3000))
    stack.push(PaintStroke(6, blob(99), 1))
    stack.push(SetKeyframe([2, 24], True))
    stack.push(LockFrames([1, 3]))
    stack.push(SetObjectProperty(3000, visible=False))
    stack.push(SetObjectProperty(3000, locked=True))
    return stack


def mask_stamps(project):
    return {
        file.name: (file.stat().st_mtime_ns, file.stat().st_ino) for file in (project / "masks").iterdir()
    }


def test_a_project_comes_back_exactly(tmp_path, document, stack, source):
    model = {"name": "dino", "hash": "ab"}
    saved = save_project(tmp_path / "dog", document, source, {"direction": "both"}, model=model)
    assert saved.path == tmp_path / "dog.smtc"
    assert is_project(saved.path)
    info, loaded = load_project(saved.path)
    assert info == saved
    assert (info.parameters, info.model, info.source) == ({"direction": "both"}, model, source)
    assert info.relative_source == "../clips/dog.mp4"
    assert contents(loaded) == contents(document)
    assert loaded.status(6, 1) is FrameStatus.CORRECTED
    assert loaded.stale_spans(1) == document.stale_spans(1) != []
    assert sorted(file.name for file in saved.path.iterdir()) == ["masks", "project.json"]
    by_json, _ = load_project(saved.path / "project.json")
    assert by_json == info


def test_masks_are_indexed_pngs_with_the_davis_palette_and_deep_ones_when_they_must(
    tmp_path, document, stack, source
):
    folder = save_project(tmp_path / "dog", document, source).path / "masks"
    with Image.open(folder / "00000.png") as image:
        assert (image.mode, image.size) == ("P", (W, H))
        assert image.getpalette() == davis_palette().ravel().tolist()
        assert np.array_equal(np.asarray(image), blob(0))
    with Image.open(folder / "00020.png") as image:
        assert image.mode.startswith("I")
        assert np.array_equal(np.asarray(image), blob(20, 3000))


@pytest.mark.parametrize("top", [254, 255, 65534])
def test_every_id_survives(tmp_path, document, source, top):
    stack = UndoStack(document)
    stack.push(AddObject(object_id=top))
    stack.push(SetLabels(4, blob(1, top)))
    save_project(tmp_path / "p", document, source)
    _, loaded = load_project(tmp_path / "p.smtc")
    assert np.array_equal(loaded.labels(4), blob(1, top))
    with Image.open(tmp_path / "p.smtc/masks/00004.png") as image:
        assert (image.mode == "P") == (top <= 254)


def test_only_changed_masks_are_written(tmp_path, document, stack, source):
    project = save_project(tmp_path / "p", document, source).path
    before = mask_stamps(project)
    save_project(project, document, source)
    assert mask_stamps(project) == before
    stack.push(PaintStroke(0, blob(50), 1))
    stack.push(PaintStroke(15, blob(51), 1))
    save_project(project, document, source)
    after = mask_stamps(project)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {"00000.png", "00015.png"}
    _, loaded = load_project(project)
    other = UndoStack(loaded)
    other.push(PaintStroke(15, blob(52), 1))
    save_project(project, loaded, source)
    last = mask_stamps(project)
    assert {name for name in last if last[name] != after[name]} == {"00015.png"}


def test_masks_of_emptied_frames_are_removed(tmp_path, document, stack, source):
    project = save_project(tmp_path / "p", document, source).path
    (project / "masks" / "notes.txt").write_text("mine")
    stack.push(SetLabels(5, np.zeros((H, W), np.uint16)))
    save_project(project, document, source)
    names = {file.name for file in (project / "masks").iterdir()}
    assert "00005.png" not in names
    assert {"00004.png", "notes.txt"} <= names
    _, loaded = load_project(project)
    assert contents(loaded) == contents(document)


def test_undo_brings_back_masks_whose_files_a_save_replaced(tmp_path, document, stack, source):
    project = save_project(tmp_path / "p", document, source).path
    _, loaded = load_project(project)
    original = contents(loaded)
    _, loaded = load_project(project)  # nothing decoded yet
    edits = UndoStack(loaded)
    edits.push(LockFrames([1, 3], False))
    edits.push(RemoveObjects(1))
    edits.push(AddObject("new"))
    edits.push(SetLabels(0, blob(7, 3001)))
    save_project(project, loaded, source)
    while edits.undo():
        pass
    assert contents(loaded) == original
    save_project(project, loaded, source)
    _, again = load_project(project)
    assert contents(again) == original


def test_saving_elsewhere_leaves_the_first_project_and_follows_the_second(tmp_path, document, stack, source):
    first = save_project(tmp_path / "a", document, source).path
    _, loaded = load_project(first)
    original = contents(document)
    second = save_project(tmp_path / "deep" / "er" / "b", loaded, source).path
    shutil.rmtree(first)
    assert contents(loaded) == original
    _, again = load_project(second)
    assert contents(again) == original


def test_a_snapshot_is_saved_as_it_was(tmp_path, document, stack, source):
    state, before = document.snapshot(), contents(document)
    stack.push(LockFrames([1, 3], False))
    stack.push(RemoveObjects(1))
    save_project(tmp_path / "p", state, source)
    _, loaded = load_project(tmp_path / "p.smtc")
    assert contents(loaded) == before


def test_progress_may_cancel_and_nothing_has_happened(tmp_path, document, stack, source):
    project = save_project(tmp_path / "p", document, source).path
    before = contents(document)
    stack.push(SetLabels(0, blob(70)))
    stack.push(SetLabels(4, blob(71)))

    class CancelledError(Exception):
        pass

    def progress(done, total):
        assert total == 2
        if done == 1:
            raise CancelledError

    with pytest.raises(CancelledError):
        save_project(project, document, source, progress=progress)
    _, loaded = load_project(project)
    assert contents(loaded) == before
    assert sorted(file.name for file in project.iterdir()) == ["masks", "project.json"]


class KilledError(BaseException):
    """Stands for the end of the process: nothing is cleaned up after it."""


class FailingDisk:
    """Lets `calls_left` operations through; the next one fails, or it and all later ones."""

    def __init__(self, calls_left, killed):
        self.calls_left, self.killed = calls_left, killed

    def wrap(self, function):
        def call(*args, **kwargs):
            self.calls_left -= 1
            if self.killed and self.calls_left < 0:
                raise KilledError
            if self.calls_left == -1:
                raise OSError(errno.ENOSPC, "No space left on device")
            return function(*args, **kwargs)

        return call


def edit_three_frames(document):
    stack = UndoStack(document)
    stack.push(SetLabels(0, blob(70)))
    stack.push(SetLabels(4, np.zeros((H, W), np.uint16)))
    stack.push(PaintStroke(15, blob(71), 1))
    return contents(document)


@pytest.mark.parametrize("killed", [False, True])
def test_an_interrupted_save_leaves_the_old_project_or_the_new_one(
    tmp_path, document, stack, source, killed, monkeypatch
):
    """Every single write, flush, rename and removal fails once, as on a full disk or at a kill -9."""
    project = save_project(tmp_path / "p", document, source).path
    pristine = tmp_path / "pristine"
    shutil.copytree(project, pristine)
    old, new = contents(document), edit_three_frames(document)
    saved = []
    for fatal_call in range(200):
        shutil.rmtree(project)
        shutil.copytree(pristine, project)
        _, current = load_project(project)
        edit_three_frames(current)
        disk, failure = FailingDisk(fatal_call, killed), None
        with ProjectLock(project), monkeypatch.context() as patch:
            for owner, name in (
                *((os, "replace"), (os, "fsync"), (Path, "write_bytes"), (Path, "mkdir"), (Path, "unlink")),
                # Removing folders ignores errors by itself; only the end of the process stops it.
                *([(project_commit.shutil, "rmtree")] if killed else []),
            ):
                patch.setattr(owner, name, disk.wrap(getattr(owner, name)))
            try:
                save_project(project, current, source)
            except (UserError, KilledError) as error:
                failure = error
        _, loaded = load_project(project)
        found = contents(loaded)
        assert found in (old, new), f"a mixture after call {fatal_call}"
        saved.append(found == new)
        if isinstance(failure, UserError):
            told = "is saved, but" if found == new else "(was not saved|cannot be saved)"
            assert re.search(told, str(failure))
        assert not (project / ".commit").exists()
        save_project(project, loaded, source)
        assert not list(project.glob(".staging*"))
        if failure is None:
            break
    else:
        pytest.fail("the save never ran through")
    assert saved == sorted(saved), "once saved, saved"
    assert saved[0] is False
    assert saved[-1] is True
    assert len(saved) > 8


def test_a_disk_that_takes_no_more_is_told_and_the_old_project_stays(tmp_path, document, stack, source):
    """A true failure of the system's write: a limit on the size of files."""
    resource = pytest.importorskip("resource")
    project = save_project(tmp_path / "p", document, source).path
    old = contents(document)
    noise = np.random.default_rng(0).integers(0, 2, (H, W)).astype(np.uint16)
    for frame in range(FRAMES - 2):
        if frame not in document.locked_frames and frame != 20:
            stack.push(SetLabels(frame, np.roll(noise, frame)))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150, limits[1]))
    try:
        with pytest.raises(UserError, match=r"p\.smtc was not saved and is as it was before"):
            save_project(project, document, source)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    _, loaded = load_project(project)
    assert contents(loaded) == old
    save_project(project, document, source)
    _, loaded = load_project(project)
    assert contents(loaded) == contents(document)


@pytest.fixture
def tiny_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("a small disk cannot be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_told_and_the_old_project_stays(tiny_disk, document, stack, source):
    project = save_project(tiny_disk / "p", document, source).path
    old = contents(document)
    (tiny_disk / "filler").write_bytes(bytes(os.statvfs(tiny_disk).f_bavail * 4096 - 8192))
    for frame in range(7, 19):
        stack.push(SetLabels(frame, blob(frame + 100)))
    with pytest.raises(UserError, match="the disk is full; free some space"):
        save_project(project, document, source)
    _, loaded = load_project(project)
    assert contents(loaded) == old
    (tiny_disk / "filler").unlink()
    save_project(project, document, source)
    _, loaded = load_project(project)
    assert contents(loaded) == contents(document)


@pytest.mark.parametrize("obstacle", ["project", "masks", "mask", "parent"])
def test_something_in_the_way_is_told(tmp_path, document, stack, source, obstacle):
    project = tmp_path / "p.smtc"
    if obstacle == "project":
        project.write_text("a file")
    elif obstacle == "masks":
        project.mkdir()
        (project / "masks").write_text("a file")
    elif obstacle == "mask":
        (project / "masks" / "00003.png").mkdir(parents=True)
    else:
        (tmp_path / "file").write_text("a file")
        project = tmp_path / "file" / "p.smtc"
    with pytest.raises(UserError, match=r"p\.smtc.*(in the way|a file is where)"):
        save_project(project, document, source)
    if obstacle == "mask":
        assert not (project / "project.json").exists()


def test_a_save_whose_footage_has_gone_succeeds(tmp_path, document, stack):
    class Gone:
        path, kind, size, fps = tmp_path / "gone.mp4", "video", (W, H), 25.0

        def __len__(self):
            return FRAMES

        def fingerprint(self):
            return self.path.read_bytes().hex()

    footage = Gone()
    footage.path.write_bytes(b"abc")
    assert save_project(tmp_path / "p", document, footage).source.fingerprint == "616263"
    footage.path.unlink()
    assert save_project(tmp_path / "p", document, footage).source.fingerprint == "616263"
    assert save_project(tmp_path / "q", document, Gone()).source.fingerprint == ""


def test_wrong_calls_are_refused(tmp_path, document, source):
    with pytest.raises(ValueError, match="frames of"):
        save_project(tmp_path / "p", document, replace(source, frame_count=3))
    with pytest.raises(ValueError, match="JSON values"):
        save_project(tmp_path / "p", document, source, {"a": object()})


# Damage


@pytest.fixture
def project(tmp_path, document, stack, source):
    return save_project(tmp_path / "p", document, source).path


def change_json(project, change):
    file = project / "project.json"
    data = json.loads(file.read_bytes())
    change(data)
    file.write_text(json.dumps(data))


def test_no_project_is_told(tmp_path, project):
    with pytest.raises(UserError, match="no project"):
        load_project(tmp_path / "nothing.smtc")
    with pytest.raises(UserError, match=r"has no project\.json"):
        load_project(project / "masks")
    (project / "project.json").unlink()
    (project / "project.json").mkdir()
    with pytest.raises(UserError, match="cannot be read"):
        load_project(project)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"format": "smtc-project'])
def test_a_damaged_json_is_told(project, content):
    (project / "project.json").write_bytes(content)
    with pytest.raises(UserError, match=r"project\.json is damaged .* restore it"):
        load_project(project)


@pytest.mark.parametrize("content", [b"[]", b"3", b"null", b'{"format": "other", "version": 1}'])
def test_json_of_something_else_is_told(project, content):
    (project / "project.json").write_bytes(content)
    with pytest.raises(UserError, match="is not the project"):
        load_project(project)


def _set(*path_and_value):
    *path, value = path_and_value

    def change(data):
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("source", lambda data: data.pop("source")),
        ("frame_count", _set("source", "frame_count", "25")),
        ("frame_count", _set("source", "frame_count", 0)),
        ("frame_count", _set("source", "frame_count", True)),
        ("size", _set("source", "size", [W])),
        ("size", _set("source", "size", [W, -1])),
        ("fps", _set("source", "fps", None)),
        ("fingerprint", _set("source", "fingerprint", 3)),
        ("objects", _set("objects", {})),
        ("objects", _set("objects", 0, 7)),
        ("objects", _set("objects", 0, "id", 3000)),
        ("id", _set("objects", 0, "id", 65535)),
        ("name", lambda data: data["objects"][0].pop("name")),
        ("colour", _set("objects", 0, "colour", [1, 2, 256])),
        ("visible", _set("objects", 0, "visible", 1)),
        ("status", _set("objects", 0, "status", [[0, 99, "manual"]])),
        ("status of object 1", _set("objects", 0, "status", [[0, 3, "fancy"]])),
        ("status", _set("objects", 0, "status", [[3, 0, "manual"]])),
        ("sources of object 1", _set("objects", 0, "sources", [[0, 3, [99]]])),
        ("sources of object 1", _set("objects", 0, "sources", [[0, 3, 1]])),
        ("confidence of object 1", _set("objects", 0, "confidence", "!")),
        ("confidence of object 1", _set("objects", 0, "confidence", 4)),
        ("confidence of object 1", _set("objects", 0, "confidence", "eJwDAAAAAAE=")),
        ("keyframes", _set("keyframes", [[0, 25]])),
        ("masks", _set("masks", [0, 1])),
        ("locked_frames", _set("locked_frames", None)),
        ("parameters", _set("parameters", [])),
        ("save_id", lambda data: data.pop("save_id")),
        ("version", _set("version", 0)),
    ],
)
def test_wrong_fields_are_named(project, field, change):
    change_json(project, change)
    with pytest.raises(UserError, match=rf"project\.json is damaged: {field} "):
        load_project(project)


def test_a_newer_version_is_refused(project):
    change_json(project, _set("version", project_schema.VERSION + 1))
    with pytest.raises(UserError, match="newer smtc-app"):
        load_project(project)


def test_older_versions_migrate_step_by_step(project, document, monkeypatch):
    def one_to_two(data):
        return {**data, "keyframes": [[frame, frame] for frame in data["keyframes"]]}

    def two_to_three(data):
        return {**data, "version": 3, "locked_frames": []}

    change_json(project, _set("keyframes", [3, 9]))
    change_json(project, _set("version", 1))
    monkeypatch.setattr(project_schema, "VERSION", 3)
    monkeypatch.setattr(project_schema, "MIGRATIONS", {1: one_to_two, 2: two_to_three})
    _, loaded = load_project(project)
    assert loaded.keyframes == (3, 9)
    assert loaded.locked_frames == frozenset()
    monkeypatch.setattr(project_schema, "MIGRATIONS", {2: two_to_three})
    with pytest.raises(UserError, match="no longer"):
        load_project(project)


def test_a_project_of_version_1_opens(project, document):
    def older(data):
        del data["proposals"]
        data["version"] = 1

    change_json(project, older)
    info, loaded = load_project(project)
    assert contents(loaded) == contents(document)
    assert loaded.proposal_frames == ()
    assert info.notes == ()


@pytest.fixture
def proposed(tmp_path, document, stack, source):
    """A project with proposals on two frames; gives its folder."""
    rng = np.random.default_rng(1)
    document.suggest(
        {
            f: [ProposalMask(f, n, mask=rng.random((H, W)) > 0.8, score=0.3, track=n, slot=2) for n in (1, 2)]
            for f in (4, 7)
        }
    )
    return save_project(tmp_path / "proposed", document, source).path


def test_proposals_come_back_and_go_with_their_answer(proposed, document, stack, source):
    _, loaded = load_project(proposed)
    assert loaded.proposal_frames == (4, 7)
    for old, new in zip(document.proposals(7), loaded.proposals(7), strict=True):
        assert (new.id, new.track, new.slot, new.score) == (old.id, old.track, old.slot, old.score)
        assert np.array_equal(new.mask, old.mask)
    assert not loaded.modified
    stack.push(RejectProposals(4, linked=True))
    save_project(proposed, document, source)
    assert not (proposed / "proposals.json").exists()
    assert load_project(proposed)[1].proposal_frames == ()


@pytest.mark.parametrize(
    "content",
    [None, b"", b"[3]", b'[{"frame": 99}]', b"{}x", b'[{"frame": 1, "id": 1, "box": [0, 0, 1], "mask": ""}]'],
)
def test_damaged_proposals_cost_a_note_only(proposed, document, content):
    file = proposed / "proposals.json"
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    info, loaded = load_project(proposed)
    assert loaded.proposal_frames == ()
    assert "propose again" in info.notes[-1]
    assert contents(loaded) == contents(document)


@pytest.mark.parametrize("track", ["one", 1.5, [1]])
def test_a_track_that_is_no_number_is_damage(proposed, track):
    file = proposed / "proposals.json"
    entries = json.loads(file.read_bytes())
    entries[0]["track"] = track
    file.write_text(json.dumps(entries))
    info, loaded = load_project(proposed)
    assert loaded.proposal_frames == ()
    assert "propose again" in info.notes[-1]


def _truncate(file):
    file.write_bytes(file.read_bytes()[:-7])


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (Path.unlink, "is missing"),
        (_truncate, "is cut short"),
        (lambda file: file.write_bytes(b""), "cannot be read|no PNG"),
        (lambda file: file.write_text("no picture at all, but long enough for a header"), "no PNG"),
        (
            lambda file: Image.new("P", (W + 1, H)).save(file),
            f"{W + 1}x{H} pixels, but the video has {W}x{H}",
        ),
        (lambda file: Image.new("RGB", (W, H)).save(file), "neither an indexed nor a grey"),
    ],
)
def test_a_bad_mask_is_told_and_can_be_left_out(project, document, damage, sentence):
    damage(project / "masks" / "00004.png")
    damage(project / "masks" / "00007.png")
    with pytest.raises(UserError, match=sentence) as raised:
        load_project(project)
    assert "00004.png" in str(raised.value)
    assert isinstance(raised.value, DamagedMasksError)
    assert "1 more mask is" in str(raised.value)
    info, loaded = load_project(project, repair=True)
    assert not loaded.has_labels(4)
    for object_id in loaded.objects:
        statuses = loaded.status_array(object_id)
        assert (statuses[[4, 7]] == FrameStatus.ABSENT).all()
        kept = np.delete(np.arange(len(statuses)), [4, 7])
        assert np.array_equal(statuses[kept], document.status_array(object_id)[kept])
    assert np.array_equal(loaded.labels(5), document.labels(5))
    assert "00004.png" in info.notes[0]


def test_a_keyframe_without_its_mask_is_none(project, document):
    assert 20 in document.keyframes
    (project / "masks" / "00020.png").unlink()
    _, loaded = load_project(project, repair=True)
    assert loaded.keyframes == tuple(k for k in document.keyframes if k != 20)


def test_a_mask_damaged_inside_is_told_when_looked_at(project):
    file = project / "masks" / "00004.png"
    content = bytearray(file.read_bytes())
    start = content.index(b"IDAT") + 6
    content[start : start + 10] = bytes(10)
    file.write_bytes(content)
    _, loaded = load_project(project)
    with pytest.raises(UserError, match=r"00004\.png is damaged"):
        loaded.labels(4)


# Locks

HOLD = """
import sys
from pathlib import Path
from smtc_app.io.project_lock import ProjectLock
with ProjectLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(project):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(project)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_writer_is_refused_politely(project, document, source, holder):
    with pytest.raises(
        ProjectInUseError, match=rf"open in another window \(process {holder.pid} on"
    ) as raised:
        ProjectLock(project).acquire()
    assert raised.value.pid == holder.pid
    with pytest.raises(ProjectInUseError):
        ProjectLock(project).acquire(take_over=True)
    with pytest.raises(ProjectInUseError):
        save_project(project, document, source)
    load_project(project)  # reading is free


def test_the_lock_of_a_killed_process_is_taken_over(project, document, source, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert (project / "lock").exists()
    with ProjectLock(project):
        save_project(project, document, source)
        assert json.loads((project / "lock").read_bytes())["pid"] == os.getpid()
    assert not (project / "lock").exists()


def test_a_lock_is_given_back(project, holder):
    holder.communicate("")
    lock = ProjectLock(project).acquire()
    assert ProjectLock.held_here(project)
    with pytest.raises(ProjectInUseError, match="another window"):
        ProjectLock(project).acquire()
    lock.release()
    lock.release()
    assert not ProjectLock.held_here(project)


def test_a_lock_of_another_machine_is_respected_until_taken_over(project):
    (project / "lock").write_text('{"pid": 1, "host": "another-machine", "since": "2020-01-01"}')
    with pytest.raises(ProjectInUseError, match=r"another-machine.*not closed") as raised:
        ProjectLock(project).acquire()
    assert raised.value.host == "another-machine"
    ProjectLock(project).acquire(take_over=True).release()


def test_a_torn_lock_file_locks_nobody_out(project):
    (project / "lock").write_text('{"pid": 1, "ho')
    ProjectLock(project).acquire().release()


def test_a_lock_that_cannot_be_made_is_told(tmp_path):
    with pytest.raises(UserError, match="cannot be locked"):
        ProjectLock(tmp_path / "missing").acquire()
