"""The tasks on a small made-up video: results, errors in one sentence."""

from __future__ import annotations

import numpy as np
import pytest

from smtc_app.core.commands import AddObject, SetLabels
from smtc_app.core.document import Document
from smtc_app.core.errors import UserError
from smtc_app.core.settings import CacheChoice
from smtc_app.core.undo import UndoStack
from smtc_app.jobs import tasks
from smtc_app.jobs.context import Cancelled
from smtc_app.jobs.proposal_cache import ProposalCache

HEIGHT, WIDTH, FRAMES = 96, 128, 6
MODEL = "colour-texture"


class RecordingContext:
    """A context that keeps what it is told, and cancels after so many partial results."""

    def __init__(self, cancel_after: int | None = None) -> None:
        self.partials = []
        self.reports = []
        self._cancel_after = cancel_after

    def progress(self, done, total, message=""):
        self.reports.append((done, total, message))

    def partial(self, result):
        self.partials.append(result)

    def cancelled(self):
        return self._cancel_after is not None and len(self.partials) >= self._cancel_after


def _square(frame):
    mask = np.zeros((HEIGHT, WIDTH), np.uint16)
    mask[32:64, 24 + 4 * frame : 56 + 4 * frame] = 3
    return mask


@pytest.fixture(scope="module")
def video():
    noise = np.random.default_rng(0).integers(0, 40, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    frames = []
    for index in range(FRAMES):
        frame = noise + np.uint8([30, 90, 40])
        frame[_square(index) == 3] = (220, 40, 30)
        frames.append(frame)
    return frames


def test_propagation_hands_over_every_frame_and_keeps_the_id(video):
    ctx = RecordingContext()
    summary = tasks.propagate_task(
        ctx, video, {0: _square(0)}, direction="forward", model=MODEL, device="cpu"
    )
    assert [frame.index for frame in ctx.partials] == [1, 2, 3, 4, 5]
    assert summary.frames == 5
    assert (summary.model.name, summary.model.device) == (MODEL, "cpu")
    assert (summary.fell_back_to_cpu, summary.message) == (False, "")
    assert ctx.reports[-1][:2] == (5, 5)
    for frame in ctx.partials:
        truth = _square(frame.index) == 3
        found = frame.labels == 3
        assert (truth & found).sum() / (truth | found).sum() > 0.8
        assert frame.labels.dtype == np.uint16
        assert frame.labels.shape == (HEIGHT, WIDTH)


class Fingerprinted(list):
    """Frames that know who they are."""

    def fingerprint(self) -> str:
        return "squares"


def test_features_are_kept_for_the_next_run_and_change_nothing(video, tmp_path):
    cache = CacheChoice(tmp_path, 1 << 30)

    def run(**settings):
        ctx = RecordingContext()
        tasks.propagate_task(
            ctx,
            Fingerprinted(video),
            {0: _square(0)},
            direction="forward",
            model=MODEL,
            device="cpu",
            **settings,
        )
        return [frame.labels.tobytes() for frame in ctx.partials]

    plain = run()
    assert run(cache=cache) == plain
    kept = sorted(path.name for path in tmp_path.glob("features-*/*/*"))
    assert kept == [f"{index:08d}.f16" for index in range(6)]
    assert run(cache=cache) == plain
    assert tasks.clear_cache_task(RecordingContext(), cache) > 0
    assert not list(tmp_path.glob("features-*/*/*"))


def test_cancelling_keeps_the_frames_that_came(video):
    ctx = RecordingContext(cancel_after=2)
    with pytest.raises(Cancelled):
        tasks.propagate_task(ctx, video, {0: _square(0)}, direction="forward", model=MODEL, device="cpu")
    assert [frame.index for frame in ctx.partials] == [1, 2]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"keyframes": {0: np.zeros((HEIGHT, WIDTH), np.uint16)}}, "nothing to propagate"),
        ({"preset": "fastest"}, "no propagation preset 'fastest'"),
        ({"model": "no-such-model"}, "no-such-model"),
        ({"device": "cuda:99"}, "cuda:99"),
        ({"keyframes": {99: _square(0)}}, "99"),
    ],
)
def test_bad_input_becomes_one_sentence(video, change, sentence):
    settings = {"keyframes": {0: _square(0)}, "model": MODEL, "device": "cpu", **change}
    with pytest.raises(UserError, match=sentence) as refused:
        tasks.propagate_task(RecordingContext(), video, settings.pop("keyframes"), **settings)
    text = str(refused.value)
    assert not text[0].islower()
    assert text.endswith(".")


class Footage(list):
    """Frames with what a source says of itself."""

    path, size = "made-up", (WIDTH, HEIGHT)
    decoded = 0

    def __getitem__(self, index):
        self.decoded += 1
        return super().__getitem__(index)


def test_proposals_come_frame_by_frame_and_are_linked(video):
    ctx = RecordingContext()
    found, summary = tasks.propose_task(ctx, video, [4, 0], model=MODEL, device="cpu", first_track=11)
    assert [index for index, _ in ctx.partials] == [0, 4]
    assert ctx.partials == list(found.items())
    assert summary.frames == 2
    hits = {}
    for index, proposals in found.items():
        assert [p.id for p in proposals] == list(range(1, len(proposals) + 1))
        best = max(proposals, key=lambda p: (p.mask & (_square(index) > 0)).sum() / p.area)
        hits[index] = best.track
    assert hits[0] == hits[4] >= 11


def test_other_settings_need_no_frame_again_and_the_frame_in_sight_comes_first(video):
    cache, footage = ProposalCache(), Footage(video)
    settings = {"model": MODEL, "device": "cpu", "cache": cache, "first": 3}
    ctx = RecordingContext()
    coarse, _ = tasks.propose_task(ctx, footage, [0, 3], granularity=0.0, **settings)
    assert [index for index, _ in ctx.partials] == [3, 0, 3], "as soon as it is known"
    again, ctx = Footage(video), RecordingContext()
    fine, _ = tasks.propose_task(ctx, again, [0, 3], granularity=1.0, **settings)
    assert [index for index, _ in ctx.partials] == [3, 0, 3]
    assert again.decoded == 0
    largest = [max(p.area for proposals in found.values() for p in proposals) for found in (coarse, fine)]
    assert largest[1] < largest[0]
    cache.clear()
    tasks.propose_task(RecordingContext(), again, [0], **settings)
    assert again.decoded > 0


def test_a_thing_is_one_part_of_the_regions_which_proposals_are_chosen_from(video):
    cache, footage = ProposalCache(), Footage(video)
    settings = {"model": MODEL, "device": "cpu", "cache": cache}
    regions = tasks.regions_task(RecordingContext(), footage, 3, **settings)
    assert regions.shape == (HEIGHT, WIDTH)
    truth, x, y = _square(3) > 0, 24 + 4 * 3 + 16, 48
    parts = [regions.part([(x, y)], step) for step in regions.steps(x, y)]
    assert max((part & truth).sum() / (part | truth).sum() for part in parts) > 0.9
    decoded = footage.decoded
    tasks.propose_task(RecordingContext(), footage, [3], **settings)
    assert footage.decoded == decoded


def test_what_is_labelled_is_not_proposed_again(video):
    document = Document(FRAMES, (WIDTH, HEIGHT))
    stack = UndoStack(document)
    stack.push(AddObject(object_id=3))
    stack.push(SetLabels(0, _square(0)))
    free, _ = tasks.propose_task(RecordingContext(), video, [0], model=MODEL, device="cpu")
    left, _ = tasks.propose_task(
        RecordingContext(), video, [0], model=MODEL, device="cpu", labelled={0: document.packed(0)}
    )
    assert any((p.mask & (_square(0) > 0)).sum() > 0.5 * p.area for p in free[0])
    assert not any((p.mask & (_square(0) > 0)).sum() > 0.5 * p.area for p in left[0])
    assert [p.id for p in left[0]] == list(range(1, len(left[0]) + 1))


def test_preloading_tells_the_model():
    summary = tasks.preload_task(RecordingContext(), model=MODEL, device="cpu")
    assert (summary.name, summary.trained, summary.has_slots) == (MODEL, False, False)
    assert len(summary.hash) == 64
