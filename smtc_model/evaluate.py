"""J and F of a model on sequences in DAVIS layout.

Propagation is semi-supervised: the first mask is given, its ids are the objects, the first and the last
frame are not scored. Discovery is unsupervised (DAVIS-2019): nothing is given, every annotated frame is
scored, and at most 20 tracks a sequence are matched to the objects by one assignment per sequence. In
both the objects are the ids of the first annotated frame, as in the released evaluation; later ids are
not scored. Frames without a mask are computed but not scored.

To add a task, write a function that fills a `SequenceScore` for one sequence and give it to `_evaluate`.
"""

from __future__ import annotations

import logging
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from tqdm import tqdm

from .davis_dataset import DavisSequence, write_mask
from .discovery import DiscoveryConfig, FrameCandidates, Proposal, propose_each
from .errors import ModelError
from .evaluation_result import EvaluationResult, ObjectScore, SequenceScore
from .metrics import pairwise_boundary_f, pairwise_jaccard, statistics
from .propagation import propagate
from .propagation_config import PRESETS
from .smtc import SMTC

logger = logging.getLogger(__name__)

MOST_PROPOSALS = 20
"""Tracks a sequence may have in the official protocol."""

MOST_PER_FRAME = 300
"""Overlapping proposals a frame may have in the release's own protocol."""

_BEST_PER_OBJECT = 10


class _NothingToScoreError(Exception):
    """Why a sequence is left out."""


class _Kept(NamedTuple):
    """A proposal until its sequence is done, in about a kilobyte."""

    track: int
    score: float
    packed: bytes
    size: tuple[int, int]

    @classmethod
    def of(cls, proposal: Proposal) -> _Kept:
        packed = zlib.compress(np.packbits(proposal.mask).tobytes(), 1)
        return cls(proposal.track, proposal.score, packed, proposal.mask.shape)

    @property
    def mask(self) -> np.ndarray:
        """bool (H,W)"""
        bits = np.frombuffer(zlib.decompress(self.packed), np.uint8)
        height, width = self.size
        return np.unpackbits(bits, count=height * width).view(bool).reshape(self.size)


def evaluate_propagation(
    model: SMTC,
    sequences: Sequence[DavisSequence],
    *,
    preset: str = "default",
    device: str = "auto",
    output: Path | None = None,
    show_progress: bool = False,
) -> EvaluationResult:
    """Semi-supervised scores. output: folder for the predicted PNGs, <sequence>/<frame>.png.

    Raises ModelError for an unknown preset and if no sequence can be scored.
    """
    if preset not in PRESETS:
        raise ModelError(f"there is no preset {preset!r}; choose one of {', '.join(PRESETS)}")

    def score(sequence: DavisSequence, tick: Callable[[], None]) -> SequenceScore:
        first, given = _first_labels(sequence)
        ids = [int(i) for i in np.unique(given) if i]
        scored = [i for i in sequence.mask_paths if first < i < len(sequence) - 1]
        if not scored:
            raise _NothingToScoreError("no mask between the first and the last frame")
        last = len(sequence) if output else scored[-1] + 1
        _write(output, sequence, first, given)
        j, f = np.zeros((2, len(ids), len(scored)))
        seconds, start = 0.0, time.perf_counter()
        frames = propagate(
            model, sequence, {first: given}, direction="forward", span=(first, last), config=PRESETS[preset],
            device=device,
        )  # fmt: skip
        for frame in frames:
            seconds += time.perf_counter() - start
            _write(output, sequence, frame.index, frame.labels)
            if frame.index in scored:
                labels, void = sequence.reference(frame.index)
                column = scored.index(frame.index)
                for row, number in enumerate(ids):
                    pair = (labels == number)[None], (frame.labels == number)[None]
                    j[row, column] = pairwise_jaccard(*pair, void=void)[0, 0]
                    f[row, column] = pairwise_boundary_f(*pair, void=void)[0, 0]
            tick()
            start = time.perf_counter()
        objects = tuple(
            ObjectScore(number, statistics(one), statistics(other))
            for number, one, other in zip(ids, j, f, strict=True)
        )
        return SequenceScore(sequence.name, tuple(scored), objects, seconds)

    return _evaluate(
        "propagation",
        "semi-supervised",
        {"preset": preset},
        model,
        sequences,
        score,
        show_progress=show_progress,
    )


def evaluate_discovery(
    model: SMTC,
    sequences: Sequence[DavisSequence],
    *,
    config: DiscoveryConfig | None = None,
    device: str = "auto",
    output: Path | None = None,
    show_progress: bool = False,
) -> EvaluationResult:
    """Unsupervised scores: the official ones, and beside them those of the SMTC release's protocol.

    The latter assigns overlapping proposals, up to 300, to objects anew on every frame, so it rewards neither
    a choice among them nor identity over time. The ten proposals of largest J with each object take part.
    Raises ModelError if no sequence can be scored.
    """
    config = config or DiscoveryConfig(max_objects=MOST_PROPOSALS)

    def score(sequence: DavisSequence, tick: Callable[[], None]) -> SequenceScore:
        _, given = _first_labels(sequence)
        ids = [int(i) for i in np.unique(given) if i]
        found: dict[int, list[_Kept]] = {}
        per_frame = []
        seconds, start = 0.0, time.perf_counter()
        for index, candidates, proposals in propose_each(
            model, sequence, range(len(sequence)), config=config, device=device
        ):
            seconds += time.perf_counter() - start
            found[index] = [_Kept.of(proposal) for proposal in proposals]
            if index in sequence.mask_paths:
                labels, void = sequence.reference(index)
                references = np.stack([labels == number for number in ids])
                per_frame.append(_score_per_frame(references, void, candidates, config))
            tick()
            start = time.perf_counter()
        tracks = _best_tracks(found)
        for index, proposals in found.items():
            _write(output, sequence, index, _labels_of(proposals, tracks, sequence[index].shape[:2]))
        objects = _match_tracks(sequence, ids, found, tracks)
        j, f = np.mean(per_frame, axis=(0, 2))
        release = {"j": float(j), "f": float(f), "j_and_f": float((j + f) / 2)}
        return SequenceScore(sequence.name, tuple(sequence.mask_paths), objects, seconds, release)

    settings = {"max_objects": config.max_objects, "granularity": config.granularity, "seed": config.seed}
    return _evaluate(
        "discovery", "unsupervised", settings, model, sequences, score, show_progress=show_progress
    )


def _evaluate(
    task: str,
    protocol: str,
    settings: dict,
    model: SMTC,
    sequences: Sequence[DavisSequence],
    score: Callable[[DavisSequence, Callable[[], None]], SequenceScore],
    *,
    show_progress: bool,
) -> EvaluationResult:
    scores, left_out = [], {}
    bar = tqdm(total=sum(map(len, sequences)), unit="frame", disable=not show_progress)
    with bar:
        for sequence in sequences:
            bar.set_description(sequence.name)
            try:
                scores.append(score(sequence, bar.update))
            except _NothingToScoreError as reason:
                left_out[sequence.name] = str(reason)
    if not scores:
        name, reason = next(iter(left_out.items()))
        raise ModelError(f"there is nothing to score: sequence {name!r} has {reason}")
    return EvaluationResult(
        task, protocol, model.name, model.hash, model.trained, settings, tuple(scores), left_out
    )


def _first_labels(sequence: DavisSequence) -> tuple[int, np.ndarray]:
    """Index and labels of the first frame whose mask holds an object."""
    for index in sequence.mask_paths:
        labels, _ = sequence.reference(index)
        if labels.any():
            return index, labels
    raise _NothingToScoreError("no mask that holds an object")


def _best_tracks(found: dict[int, list[_Kept]]) -> list[int]:
    """The tracks that take part, best first: those whose scores add up to most over the frames."""
    total: dict[int, float] = {}
    for proposals in found.values():
        for proposal in proposals:
            total[proposal.track] = total.get(proposal.track, 0.0) + proposal.score
    return sorted(total, key=lambda track: -total[track])[:MOST_PROPOSALS]


def _labels_of(proposals: list[_Kept], tracks: list[int], size: tuple[int, int]) -> np.ndarray:
    labels = np.zeros(size, np.uint16)
    for proposal in proposals:
        if proposal.track in tracks:
            labels[proposal.mask] = tracks.index(proposal.track) + 1
    return labels


def _match_tracks(
    sequence: DavisSequence, ids: list[int], found: dict[int, list[_Kept]], tracks: list[int]
) -> tuple[ObjectScore, ...]:
    """One assignment of tracks to objects on the mean of (J+F)/2 over the sequence."""
    # As many empty proposals as there are objects, so that each gets one.
    slots = len(tracks) + len(ids)
    j, f = np.zeros((2, len(ids), slots, len(sequence.mask_paths)))
    for column, index in enumerate(sequence.mask_paths):
        labels, void = sequence.reference(index)
        references = np.stack([labels == number for number in ids])
        here = {tracks.index(p.track): p.mask for p in found[index] if p.track in tracks}
        masks = np.stack([*here.values(), np.zeros(labels.shape, bool)])
        scores_j = pairwise_jaccard(references, masks, void=void)
        scores_f = pairwise_boundary_f(references, masks, void=void)
        j[:, :, column], f[:, :, column] = scores_j[:, -1:], scores_f[:, -1:]
        for position, slot in enumerate(here):
            j[:, slot, column], f[:, slot, column] = scores_j[:, position], scores_f[:, position]
    rows, columns = linear_sum_assignment(-(j + f).mean(2))
    return tuple(
        ObjectScore(
            ids[row],
            statistics(j[row, column]),
            statistics(f[row, column]),
            tracks[column] if column < len(tracks) else None,
        )
        for row, column in zip(rows, columns, strict=True)
    )


def _score_per_frame(
    references: np.ndarray, void: np.ndarray, candidates: FrameCandidates, config: DiscoveryConfig
) -> np.ndarray:
    """J and F (2,R) of the objects on one frame under an assignment of its own."""
    scores = np.zeros((2, len(references)))
    masks = np.array(candidates.candidates(config, most=MOST_PER_FRAME))
    if not len(masks):
        return scores
    j = pairwise_jaccard(references, masks, void=void)
    kept = np.unique(np.argsort(-j, axis=1)[:, :_BEST_PER_OBJECT])
    f = pairwise_boundary_f(references, masks[kept], void=void)
    rows, columns = linear_sum_assignment(-(j[:, kept] + f))
    scores[0, rows], scores[1, rows] = j[rows, kept[columns]], f[rows, columns]
    return scores


def _write(output: Path | None, sequence: DavisSequence, index: int, labels: np.ndarray) -> None:
    if output is None:
        return
    folder = output / sequence.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_mask(folder / f"{sequence.frame_paths[index].stem}.png", labels)
    except OSError as error:
        raise ModelError(f"cannot write to {folder}: {error.strerror or error}") from error
