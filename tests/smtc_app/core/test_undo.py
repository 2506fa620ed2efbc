"""Any sequence of edits undone gives the first bytes back, redone the last; the stack stays in its bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smtc_app.core.annotation import ProposalMask
from smtc_app.core.commands import (
    AcceptProposals,
    AddObject,
    ApplyPropagation,
    ClearObjects,
    Command,
    Compound,
    LockFrames,
    MergeObjects,
    PaintStroke,
    RecolourObject,
    RejectProposals,
    RemoveObjects,
    RenameObject,
    ReorderObjects,
    SetKeyframe,
    SetLabels,
    SetObjectProperty,
    SplitObject,
    SwapObjects,
)
from smtc_app.core.document import Document
from smtc_app.core.errors import UserError
from smtc_app.core.mask_store import MaskStore
from smtc_app.core.undo import UndoStack

H, W, FRAMES = 6, 9, 8


def state_bytes(document):
    """Everything that only commands change, comparable; proposals come and go besides."""
    state = document.snapshot()
    return (
        state.objects,
        state.keyframes,
        state.locked_frames,
        {frame: document.labels(frame).tobytes() for frame in range(document.frame_count)},
        {
            object_id: (
                track.status.tobytes(),
                track.confidence.tobytes(),
                [state.source_table[index] for index in track.sources],
            )
            for object_id, track in state.tracks.items()
        },
        [document.has_labels(frame) for frame in range(document.frame_count)],
    )


frames = st.integers(0, FRAMES - 1)
seeds = st.integers(0, 2**32 - 1)


def _random_mask(rng):
    mask = np.zeros((H, W), bool)
    y, x = rng.integers(0, H), rng.integers(0, W)
    mask[y : y + rng.integers(1, H), x : x + rng.integers(1, W)] = True
    return mask


def suggest(document: Document, frame: int, seed: int) -> None:
    """Proposals that come from outside of the history."""
    rng = np.random.default_rng(seed)
    found = [
        ProposalMask(frame, n + 1, mask=_random_mask(rng), score=float(rng.random()), track=n)
        for n in range(3)
    ]
    document.suggest({frame: found})


def make_command(kind: str, document: Document, frame: int, seed: int) -> Command:
    """A command of a kind that suits what is in the document now, chosen by `seed`."""
    rng = np.random.default_rng(seed)
    ids = list(document.objects)
    some = [int(i) for i in rng.permutation(ids)[: max(1, len(ids) // 2)]] if ids else [1]
    one = some[0]
    mask = _random_mask(rng)
    if kind in ("accept", "reject") and document.proposal_frames:
        frame = document.proposal_frames[seed % len(document.proposal_frames)]
    if kind == "split" and document.labelled_frames:
        frame = document.labelled_frames[seed % len(document.labelled_frames)]
        one = int(document.labels(frame).max())
        left = np.arange(W) < 1 + rng.integers(W - 1)
        mask = np.broadcast_to(left, (H, W))
    if kind == "add":
        return AddObject()
    if kind in ("paint", "erase"):
        labels = np.array(document.labels(frame))
        labels[mask] = one if kind == "paint" else 0
        return PaintStroke(frame, labels, one if kind == "paint" else None)
    if kind == "labels":
        choice = np.array([0, *ids], np.uint16)
        return SetLabels(frame, choice[rng.integers(0, len(choice), (H, W))], "Import")
    if kind == "propagate":
        choice = np.array([0, *ids], np.uint16)
        labels = choice[rng.integers(0, len(choice), (H, W))]
        sources = tuple(int(k) for k in rng.permutation(document.keyframes or (0,))[:2])
        confidence = {object_id: float(rng.random()) for object_id in some}
        objects = some if rng.random() < 0.7 else None
        return ApplyPropagation(
            [(frame, labels, confidence, sources)],
            objects=objects,
            revision=int(rng.integers(0, document.revision + 1)),
            run=int(rng.integers(0, 2)),
        )
    if kind == "compound":
        kinds = [KINDS[i] for i in rng.integers(0, len(KINDS), 3)]
        return Compound([make_command(each, document, frame, seed + 1) for each in kinds], "Several")
    if kind == "swap":
        if len(ids) < 2:
            return AddObject()
        one, other = (int(i) for i in rng.permutation(ids)[:2])
        return SwapObjects(
            one, other, frame, stop=None if rng.random() < 0.4 else int(rng.integers(FRAMES + 1))
        )
    simple = {
        "remove": lambda: RemoveObjects(some),
        "merge": lambda: MergeObjects(some, int(rng.choice(ids)) if ids else 1),
        "merge here": lambda: MergeObjects(some, int(rng.choice(ids)) if ids else 1, frames=[frame]),
        "split": lambda: SplitObject(frame, one, [mask, ~mask]),
        "clear": lambda: ClearObjects(some, range(frame + 1)),
        "keyframe": lambda: SetKeyframe(frame, bool(rng.random() < 0.7)),
        "lock frame": lambda: LockFrames(frame, bool(rng.random() < 0.2)),
        "lock": lambda: SetObjectProperty(some, locked=bool(rng.random() < 0.2)),
        "hide": lambda: SetObjectProperty(some, visible=bool(rng.random() < 0.5)),
        "rename": lambda: RenameObject(one, f"name {seed}"),
        "recolour": lambda: RecolourObject(some, (seed % 256, 1, 2)),
        "reorder": lambda: ReorderObjects([int(i) for i in rng.permutation(ids)]),
        "accept": lambda: AcceptProposals(frame, linked=bool(rng.random() < 0.5), overwrite=True),
        "reject": lambda: RejectProposals(frame, linked=bool(rng.random() < 0.5)),
    }
    return simple[kind]()


KINDS = [  # of commands
    *("add", "paint", "erase", "labels", "propagate", "remove", "merge", "merge here", "split"),
    *("clear", "keyframe", "lock frame", "lock", "hide", "rename", "recolour", "reorder", "accept", "reject"),
    *("paint", "propagate", "paint", "propagate", "accept", "split", "compound", "compound", "swap", "swap"),
]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    script=st.lists(st.tuples(st.sampled_from([*KINDS, "propose"]), frames, seeds), min_size=1, max_size=25),
    jumps=st.lists(st.integers(-4, 4), max_size=4),
    tight=st.booleans(),
)
def test_any_sequence_undone_gives_the_first_bytes_and_redone_the_last(script, jumps, tight):
    # The tight store spills every mask and decodes it again on every look.
    store = MaskStore((H, W), decoded_bytes=1, packed_bytes=1) if tight else None
    document = Document(FRAMES, (W, H), store=store)
    stack = UndoStack(document)
    for _ in range(3):
        stack.push(AddObject())
    history = [state_bytes(document)]
    for kind, frame, seed in script:
        if kind == "propose":
            suggest(document, frame, seed)
            continue
        before, texts, waiting = state_bytes(document), stack.texts, document.snapshot().proposals
        try:
            pushed = stack.push(make_command(kind, document, frame, seed))
        except UserError:
            pushed = False
        if not pushed:
            assert state_bytes(document) == before, "a refused or idle command left traces"
            assert document.snapshot().proposals == waiting
            assert stack.texts == texts
        elif len(stack.texts) == len(texts):
            history[-1] = state_bytes(document)  # merged into the newest step
        else:
            history.append(state_bytes(document))
    position = len(history) - 1
    everything = len(history) + 2
    for jump in [*jumps, -everything, everything, -everything]:
        for _ in range(abs(jump)):
            moved = stack.undo() if jump < 0 else stack.redo()
            # The steps below the first state of the history added objects.
            position += (1 if jump > 0 else -1) if moved else 0
            if position >= 0:
                assert state_bytes(document) == history[position]
    assert not stack.can_undo
    assert document.labelled_frames == ()
    assert not document.objects
    document.close()


@pytest.fixture
def document():
    return Document(100, (64, 48))


@pytest.fixture
def stack(document):
    stack = UndoStack(document)
    stack.push(AddObject("dog"))
    return stack


def noise(seed, shape=(48, 64)):
    return np.random.default_rng(seed).integers(0, 2, shape).astype(np.uint16)


def test_the_stack_is_bounded_by_bytes_and_keeps_the_newest(document):
    stack = UndoStack(document, limit_bytes=20_000)
    stack.push(AddObject("dog"))
    for seed in range(60):
        stack.push(SetLabels(0, noise(seed)))
        assert stack.nbytes <= 20_000
    kept = len(stack.texts)
    assert 2 < kept < 60
    for _ in range(kept):
        assert stack.undo()
    assert not stack.undo()
    assert np.array_equal(document.labels(0), noise(59 - kept))
    tiny = UndoStack(document, limit_bytes=1)
    tiny.push(SetLabels(1, noise(1)))
    assert tiny.can_undo


def test_modified_follows_the_clean_state(stack, document):
    flips = []
    document.subscribe(lambda change: flips.append(document.modified) if change.kind == "modified" else None)
    assert document.modified
    stack.mark_clean()
    assert not document.modified
    stack.push(SetLabels(0, noise(0)))
    assert document.modified
    stack.undo()
    assert not document.modified
    stack.redo()
    stack.mark_clean()
    stack.undo()
    assert document.modified
    stack.push(SetLabels(0, noise(1)))
    stack.undo()
    assert document.modified, "the saved state can no longer be reached"
    assert flips == [False, True, False, True, False, True]


def test_a_save_of_an_earlier_moment_leaves_later_changes_modified(stack, document):
    stack.push(SetLabels(0, noise(0)))
    moment = stack.state()
    stack.push(SetLabels(0, noise(1)))
    stack.mark_clean(moment)
    assert document.modified
    stack.undo()
    assert not document.modified


def test_a_save_in_the_middle_of_a_run_is_never_clean_again(stack, document):
    def arrive(frame):
        stack.push(ApplyPropagation([(frame, noise(frame), {1: 0.5}, (0,))], objects={1}))

    stack.push(SetLabels(0, noise(0)))
    arrive(1)
    moment = stack.state()
    arrive(2)
    stack.mark_clean(moment)
    assert document.modified
    stack.undo()
    assert document.modified
    stack.redo()
    stack.mark_clean()
    assert not document.modified
    stack.close_step()
    arrive(3)
    stack.undo()
    assert not document.modified


def test_clean_at_the_bottom_survives_forgetting(document):
    stack = UndoStack(document, limit_bytes=20_000)
    stack.push(AddObject("dog"))
    stack.push(SetLabels(0, noise(0)))
    stack.mark_clean()
    for seed in range(1, 40):
        stack.push(SetLabels(0, noise(seed)))
    while stack.undo():
        assert document.modified
    assert document.modified, "the saved step was forgotten"


def test_clear_keeps_the_document(stack, document):
    stack.push(SetLabels(0, noise(0)))
    stack.clear()
    assert not stack.can_undo
    assert document.has_labels(0)
    assert document.modified
    stack.mark_clean()
    stack.clear()
    assert not document.modified


def test_recovered_work_counts_as_modified(document):
    stack = UndoStack(document)
    assert not document.modified
    stack.mark_unsaved()
    assert document.modified


def test_subscribers_of_the_stack_are_told(stack):
    told = []
    unsubscribe = stack.subscribe(lambda: told.append((stack.undo_text, stack.redo_text)))
    stack.push(RenameObject(1, "wolf"))
    stack.undo()
    unsubscribe()
    stack.redo()
    assert told == [("Rename 'dog' to 'wolf'", ""), ("Add 'dog'", "Rename 'dog' to 'wolf'")]


def test_a_command_that_raises_is_not_pushed(stack, document):
    class Fails(Command):
        def run(self, edit):
            edit.set_keyframe(3, True)
            edit.edit_labels(4, noise(0))
            raise RuntimeError("halfway")

    stack.push(RenameObject(1, "wolf"))
    renamed = state_bytes(document)
    stack.undo()
    before = state_bytes(document)
    with pytest.raises(RuntimeError, match="halfway"):
        stack.push(Fails())
    assert state_bytes(document) == before
    assert stack.can_redo, "a failed command must not clear what can be redone"
    stack.redo()
    assert state_bytes(document) == renamed
