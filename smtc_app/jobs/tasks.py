"""The work that the window and the command line share: proposals, regions, propagation, splitting.

A task is a plain function whose first argument is a `context.TaskContext`. To add one, write it here, or
beside this in a module of its own, and give it to `JobRunner.submit` or call it with the command line's
context. `model_use` has what those need that run the model. torch is imported inside the functions, so that
the window is up before it is loaded.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smtc_app.core.errors import UserError
from smtc_app.jobs.context import Cancelled, StateChoice, TaskContext
from smtc_app.jobs.model_use import (
    ModelSummary,
    RunSummary,
    loaded_model,
    model_task,
    summary_of,
    with_cpu_to_fall_back_on,
)

if TYPE_CHECKING:
    from smtc_app.core.annotation import ProposalMask
    from smtc_app.core.frame_regions import FrameRegions
    from smtc_app.core.mask_store import PackedMask
    from smtc_app.core.settings import CacheChoice
    from smtc_app.io.source import FrameSource
    from smtc_app.jobs.proposal_cache import ProposalCache
    from smtc_model.feature_cache import FeatureStore
    from smtc_model.propagation import PropagatedFrame
    from smtc_model.propagation_config import PropagationConfig
    from smtc_model.smtc import SMTC

logger = logging.getLogger(__name__)


@model_task
def preload_task(ctx: TaskContext, *, model: str | Path | None = None, device: str = "auto") -> ModelSummary:
    """Import torch and load the model, so that the first proposal does not wait for it."""
    from smtc_model.weights import resolve_device

    ctx.progress(0, 1, "loading the model")
    loaded = loaded_model(model, device)
    ctx.progress(1, 1)
    return summary_of(loaded, str(resolve_device(device)))


@model_task
def propose_task(
    ctx: TaskContext,
    source: FrameSource,
    frames: Sequence[int],
    *,
    model: str | Path | None = None,
    max_objects: int = 10,
    granularity: float = 0.5,
    device: str = "auto",
    cache: ProposalCache | None = None,
    first: int | None = None,
    first_track: int = 1,
    labelled: Mapping[int, PackedMask] | None = None,
    carry: bool = True,
) -> tuple[dict[int, list[ProposalMask]], RunSummary]:
    """Propose objects on the given frames, linked over them: the same track is the same object.

    The proposals of each frame are handed over with `ctx.partial` as (frame, proposals), those of several
    frames once objects have been followed through all of them.

    Args:
        frames: frame indices.
        max_objects: most proposals on a frame.
        granularity: 0 (few, large, sure) to 1 (many, small, doubtful ones too).
        cache: where candidates are kept, and found again when only the settings have changed.
        first: a frame that somebody looks at: as soon as the cache knows it, its proposals are handed over,
            before all others, not yet linked.
        first_track: the smallest track number to use.
        labelled: labels of frames that have any; what is labelled already is not proposed again.
        carry: follow objects through all frames together; or link each frame with the one before.

    Returns the proposals of each frame, best first, and the run's summary.

    Raises:
        UserError: a model that cannot be loaded, or a frame that cannot be read.
    """
    from smtc_model.discovery import DiscoveryConfig, SlotCache

    labelled = labelled or {}
    # As many more are looked for as may turn out to be labelled.
    known = max((np.count_nonzero(np.bincount(m.labels().ravel())) for m in labelled.values()), default=0)
    config = DiscoveryConfig(
        max_objects=max_objects + int(known),
        granularity=granularity,
        likely_score=likely_score(granularity),
        carry=carry,
    )
    order = sorted({int(frame) for frame in frames})

    def converted(index: int, proposals: Sequence[Any], *, linked: bool = True) -> list[ProposalMask]:
        masks = [_to_proposal_mask(p, first_track - 1 if linked else None) for p in proposals]
        if index in labelled:
            masks = unexplained(masks, labelled[index].labels())
        return [renumbered(mask, number) for number, mask in enumerate(masks[:max_objects], 1)]

    def run(chosen: str) -> tuple[dict[int, list[ProposalMask]], SMTC]:
        loaded = loaded_model(model, chosen)
        if cache is not None:
            slots = cache.use(source, loaded, config, chosen)
        else:
            slots = SlotCache(loaded, source, config=config, device=chosen, capacity=1)
        found: dict[int, list[ProposalMask]] = {}
        shown = False

        def looked(done: int) -> None:
            nonlocal shown
            # Links are known at the end only; who looks at a frame sees what is there before.
            if not shown and first is not None and first in slots and len(order) > 1:
                shown = True
                ctx.partial((first, converted(first, slots.propose(first, config), linked=False)))
            ctx.progress(
                done, len(order), f"{done} of {len(order)} frames" if done else "looking for objects"
            )

        looked(0)
        for index, proposals in slots.propose_linked(order, config, looked=looked):
            found[index] = converted(index, proposals)
            ctx.partial((index, found[index]))
        return found, loaded

    ctx.progress(0, len(order), "loading the model")
    (proposals, loaded), used, fell_back = with_cpu_to_fall_back_on(run, device)
    return proposals, RunSummary(summary_of(loaded, used), len(proposals), fell_back)


@model_task
def regions_task(
    ctx: TaskContext,
    source: FrameSource,
    frame: int,
    *,
    model: str | Path | None = None,
    device: str = "auto",
    cache: ProposalCache,
) -> FrameRegions:
    """The regions of a frame that belong together, of those that proposals are chosen from.

    cache: where these are found, or kept.

    Raises UserError as `propose_task` does.
    """
    from smtc_app.core.frame_regions import FrameRegions
    from smtc_model.discovery import DiscoveryConfig

    def between() -> None:
        ctx.progress(0, 1)

    def run(chosen: str) -> tuple[FrameRegions, SMTC]:
        loaded, config = loaded_model(model, chosen), DiscoveryConfig()
        found = cache.use(source, loaded, config, chosen).candidates(frame, between)
        labels = found.native_regions(between=between)
        return FrameRegions(labels, found.tree.parent, found.score), loaded

    between()
    (regions, _), _, _ = with_cpu_to_fall_back_on(run, device)
    return regions


def likely_score(granularity: float) -> float:
    """Least objectness of a proposal: 0.19 for few, 0.075 in the middle, 0.03 for many."""
    return 0.075 * 2.5 ** (1 - 2 * granularity)


def unexplained(proposals: Sequence[ProposalMask], labels: np.ndarray) -> list[ProposalMask]:
    """Those proposals that labels (H,W) do not cover."""
    return [proposal for proposal in proposals if not proposal.explained_by(labels)]


def renumbered(proposal: ProposalMask, number: int) -> ProposalMask:
    """The same proposal under another id."""
    from smtc_app.core.annotation import ProposalMask

    if proposal.id == number:
        return proposal
    return ProposalMask.from_packed(
        proposal.frame,
        number,
        shape=proposal.shape,
        box=proposal.box,
        packed=proposal.packed,
        score=proposal.score,
        slot=proposal.slot,
        track=proposal.track,
    )


def _to_proposal_mask(proposal: Any, track_offset: int | None = 0) -> ProposalMask:
    from smtc_app.core.annotation import ProposalMask

    return ProposalMask(
        proposal.frame,
        proposal.id,
        mask=proposal.mask,
        score=float(proposal.score),
        slot=proposal.slot,
        track=None if track_offset is None else proposal.track + track_offset,
    )


@model_task
def propagate_task(
    ctx: TaskContext,
    source: FrameSource,
    keyframes: Mapping[int, np.ndarray],
    *,
    direction: str = "both",
    span: tuple[int, int] | None = None,
    objects: set[int] | None = None,
    model: str | Path | None = None,
    preset: str = "default",
    device: str = "auto",
    cache: CacheChoice | None = None,
    take_soft: Callable[[int, Mapping[int, np.ndarray]], None] | None = None,
    check: bool = False,
    state: StateChoice | None = None,
) -> RunSummary:
    """Propagate the keyframes' labels; every frame is handed over with `ctx.partial` as a `PropagatedFrame`.

    Args:
        keyframes: frame index -> label map (H,W) uint16 of the source's size.
        direction: "forward", "backward" or "both".
        span: first and one past the last frame to compute; None: the whole video.
        objects: ids to propagate; None: all.
        cache: where features are kept between runs; None: nowhere. The result is the same.
        take_soft: called with (frame, {id: probability float32 (H,W)}) before each frame is handed over.
        check: tell also how well each frame's labels lead back to their keyframes.
        state: where to save how far the run is; a state that is there already is gone on with.

    Raises:
        UserError: no labels, a model that cannot be loaded, a frame that cannot be read.
        Cancelled: when the person cancels; frames handed over before stay.
    """
    from smtc_model.propagation import propagate
    from smtc_model.propagation_config import PRESETS
    from smtc_model.run_record import RunRecord

    if preset not in PRESETS:
        raise UserError(f"There is no propagation preset {preset!r}; choose one of {', '.join(PRESETS)}.")
    if not any(np.any(labels) for labels in keyframes.values()):
        raise UserError("There is nothing to propagate: mark an object on a keyframe first.")
    first, stop = span or (0, len(source))
    total = sum(1 for frame in range(first, stop) if frame not in keyframes)

    attempts: list[str] = []

    def run(chosen: str) -> tuple[int, SMTC]:
        loaded = loaded_model(model, chosen)
        record = None
        if state is not None:
            identity = {
                "model": loaded.hash,
                "settings": asdict(PRESETS[preset]),
                "video": [len(source), source.fingerprint()],
                "keyframes": {str(k): hashlib.sha256(v).hexdigest() for k, v in sorted(keyframes.items())},
                "direction": direction,
                "range": list(span or (0, len(source))),
                "objects": sorted(objects) if objects is not None else None,
            }  # not the device: what a GPU began can go on without one
            record = RunRecord(state.path, identity=identity, every_s=state.every_s)
            if attempts:
                record.remove()
        attempts.append(chosen)
        kept = _feature_store(cache, source, loaded, PRESETS[preset], chosen)
        frames: Iterator[PropagatedFrame] = propagate(
            loaded,
            source,
            keyframes,
            direction=direction,
            span=span,
            config=PRESETS[preset],
            device=chosen,
            objects=objects,
            cancelled=ctx.cancelled,
            features=kept,
            take_soft=take_soft,
            check=check,
            record=record,
        )
        count = 0
        with closing(frames):  # ends the threads that run ahead, whatever happens here
            for frame in frames:
                count += 1
                ctx.partial(frame)
                ctx.progress(count, total, f"frame {frame.index}")
        if ctx.cancelled():
            raise Cancelled
        return count, loaded

    ctx.progress(0, total, "loading the model")
    (count, loaded), used, fell_back = with_cpu_to_fall_back_on(run, device)
    return RunSummary(summary_of(loaded, used), count, fell_back)


def _feature_store(
    cache: CacheChoice | None, source: FrameSource, model: SMTC, config: PropagationConfig, device: str
) -> FeatureStore | None:
    """The part of the cache that belongs to this run; None without one, or for footage without identity."""
    from smtc_model.feature_cache import FeatureCache
    from smtc_model.frame_features import cached_for

    if cache is None:
        return None
    try:
        footage = source.fingerprint()
    except (OSError, UserError) as error:
        logger.warning("features are not kept, the footage has no fingerprint: %s", error)
        return None
    return cached_for(
        FeatureCache(cache.folder, limit_bytes=cache.limit_bytes),
        footage=footage,
        model_hash=model.hash,
        config=config,
        device=device,
    )


def clear_cache_task(ctx: TaskContext, cache: CacheChoice) -> int:
    """Delete the features kept in a cache; returns the bytes freed."""
    from smtc_model.feature_cache import FeatureCache

    ctx.progress(0, 1, "clearing the cache")
    freed = FeatureCache(cache.folder, limit_bytes=cache.limit_bytes).clear()
    ctx.progress(1, 1)
    return freed


@model_task
def split_task(
    ctx: TaskContext,
    source: FrameSource,
    frame: int,
    mask: np.ndarray,
    *,
    parts: int = 2,
    model: str | Path | None = None,
    device: str = "auto",
) -> list[np.ndarray]:
    """Split one mask (H,W) bool into up to `parts` masks by slot attention inside it."""
    from smtc_model.discovery import split_mask

    ctx.progress(0, 1, "splitting by slot")

    def run(chosen: str) -> list[np.ndarray]:
        return split_mask(loaded_model(model, chosen), source[frame], mask, parts=parts, device=chosen)

    masks, _, _ = with_cpu_to_fall_back_on(run, device)
    ctx.progress(1, 1)
    return masks
