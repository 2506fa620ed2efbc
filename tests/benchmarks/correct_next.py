"""What one correction wins, by how its frame was chosen: simulated with true masks.

    python tests/benchmarks/correct_next.py ROOT --short-side 240 --save gains.json
    python tests/benchmarks/correct_next.py --load gains.json --reach 12 24 48

Each sequence in the DAVIS layout (../shared/data/davis) is propagated from its first mask. Then one frame is
corrected with its true mask, everything is propagated anew from both, and J (over all objects and annotated
frames but the first, the corrected one counts as 1) is compared with J before. That is done for --candidates
frames evenly spread over the sequence; every strategy chooses among these. `suggested` is the first entry of
`smtc_app.core.correct_next`, `with consistency` the same with the confidence times the root of the
consistency; `worst` has the lowest confidence of any object, `middle` lies in the middle, `random` is the
mean of all, `best` the most that could be won. The error is that of the mean over the sequences.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import torch
from confidence import smaller
from propagation import VOID, Sequence

from smtc_app.core.correct_next import ObjectEvidence, suggest
from smtc_model.feature_cache import FeatureCache
from smtc_model.frame_features import cached_for
from smtc_model.metrics import jaccard
from smtc_model.propagation import propagate
from smtc_model.propagation_config import PRESETS
from smtc_model.weights import load_model

STRATEGIES = ("suggested", "with consistency", "worst", "middle", "random", "best")


class Trial:
    """One sequence: propagates from the first mask and from corrected ones."""

    def __init__(self, sequence: Sequence, model: torch.nn.Module, arguments: argparse.Namespace) -> None:
        self.sequence = sequence
        self.count = len(sequence.frames)
        self.truth = {i: np.where(m == VOID, 0, m) for i, m in sequence.masks.items()}
        self.ids = [int(i) for i in np.unique(self.truth[0]) if i]
        self._model = model
        self._config = dataclasses.replace(PRESETS[arguments.preset], short_side_px=arguments.short_side)
        self._features = cached_for(
            FeatureCache(arguments.cache, limit_bytes=1 << 32),
            footage=f"{sequence.name} {arguments.short_side} {arguments.every} {arguments.faster}",
            model_hash=model.hash,
            config=self._config,
            device="cpu",
        )
        self.confidence = np.full((len(self.ids), self.count), np.nan)
        self.consistency = np.full((len(self.ids), self.count), np.nan)

    def run(self, keys: tuple[int, ...]) -> float:
        """Mean J from true masks on these frames."""
        labels = {k: self.truth[k] for k in keys}
        frames = propagate(
            self._model,
            self.sequence.frames,
            {k: self.truth[k] for k in keys},
            direction="both",
            config=self._config,
            features=self._features,
            check=len(keys) == 1,
        )
        for frame in frames:
            labels[frame.index] = frame.labels
            if len(keys) == 1:
                for row, i in enumerate(self.ids):
                    self.confidence[row, frame.index] = frame.confidence[i]
                    self.consistency[row, frame.index] = frame.consistency.get(i, np.nan)
        j = [
            jaccard(truth == i, labels[frame] == i)
            for frame, truth in self.truth.items()
            if frame
            for i in self.ids
        ]
        return float(np.mean(j))

    def measured(self, candidates: int) -> dict:
        """J before and after correcting each of so many frames, and what was known before, for JSON."""
        before = self.run((0,))
        known = sorted(i for i in self.truth if i)
        wanted = np.arange(1, candidates + 1) * self.count / (candidates + 1)
        frames = sorted({min(known, key=lambda i: abs(i - place)) for place in wanted})
        return {
            "before": before,
            "after": {int(frame): self.run((0, int(frame))) for frame in frames},
            "confidence": self.confidence.tolist(),
            "consistency": self.consistency.tolist(),
        }


def faster_from_the_middle(sequence: Sequence, every: int) -> Sequence:
    """All frames of the first half, then only every n-th: labels are doubtful in one part of the video."""
    half = len(sequence.frames) // 2
    kept = [*range(half), *range(half, len(sequence.frames), every)]
    masks = {new: sequence.masks[old] for new, old in enumerate(kept) if old in sequence.masks}
    return Sequence(sequence.name, [sequence.frames[i] for i in kept], masks)


def won(known: dict, strategy: str, reach: float | None) -> float:
    """What a strategy wins on a sequence as `Trial.measured` told it."""
    gains = {int(frame): after - known["before"] for frame, after in known["after"].items()}
    if strategy == "random":
        return float(np.mean(list(gains.values())))
    if strategy == "best":
        return max(gains.values())
    confidence = np.array(known["confidence"], float)
    count = confidence.shape[1]
    if strategy == "middle":
        return gains[min(gains, key=lambda i: abs(i - count / 2))]
    if strategy == "worst":
        return gains[min(gains, key=lambda i: np.nanmin(confidence[:, i]))]
    if strategy == "with consistency":
        confidence = confidence * np.sqrt(np.nan_to_num(np.array(known["consistency"], float), nan=1.0))
    evidence = [ObjectEvidence(row, "", values) for row, values in enumerate(confidence)]
    others = [i for i in range(count) if i not in gains]
    settings = {} if reach is None else {"reach": reach}
    found = suggest(evidence, keyframes=(0,), locked=others, limit=1, **settings)
    return gains[found[0].frame] if found else won(known, "middle", None)


def report(measured: dict[str, dict], reaches: list[float]) -> None:
    """Print what each choice wins on each sequence, and the means with their errors."""
    columns = [(s, r) for s in STRATEGIES for r in ((reaches or [None]) if s in STRATEGIES[:2] else [None])]
    heads = [f"{s} (reach {r:g})" if r else s for s, r in columns]
    print(f"| sequence | J before | {' | '.join(heads)} |\n|{'---|' * (len(heads) + 2)}")
    rows = [[won(known, s, r) for s, r in columns] for known in measured.values()]
    for (name, known), row in zip(measured.items(), rows, strict=True):
        print(f"| {name} | {known['before']:.3f} | {' | '.join(f'{gain:+.3f}' for gain in row)} |")
    means, errors = np.mean(rows, 0), np.std(rows, 0, ddof=min(1, len(rows) - 1)) / np.sqrt(len(rows))
    cells = (f"**{mean:+.3f}** ({error:.3f})" for mean, error in zip(means, errors, strict=True))
    print(f"| **mean** (error) | | {' | '.join(cells)} |")


def main() -> int:
    """Simulate, or load what was simulated before, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path, nargs="?", help="DAVIS root")
    parser.add_argument("--sequences", nargs="+", help="all by default")
    parser.add_argument("--every", type=int, default=1, help="take every n-th frame")
    parser.add_argument("--faster", type=int, default=1, help="every n-th frame from the middle on")
    parser.add_argument("--short-side", type=int, default=240, help="of footage and features, in px")
    parser.add_argument("--candidates", type=int, default=7, help="frames that are corrected, one by one")
    parser.add_argument("--reach", type=float, nargs="+", help="of a correction, in frames")
    parser.add_argument("--preset", default="default")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--save", type=Path, help="keep J of every correction as JSON")
    parser.add_argument("--load", type=Path, nargs="+", help="what earlier runs saved")
    parser.add_argument("--cache", type=Path, help="folder for features; a temporary one by default")
    arguments = parser.parse_args()
    if arguments.load:
        parts = [json.loads(path.read_text()) for path in arguments.load]
        report({name: known for part in parts for name, known in part.items()}, arguments.reach)
        return 0
    if arguments.root is None:
        parser.error("give a DAVIS root, or --load")
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(arguments.threads)
    model = load_model(None, device="cpu")
    names = arguments.sequences or sorted(p.name for p in (arguments.root / "JPEGImages" / "480p").iterdir())
    measured = {}
    with tempfile.TemporaryDirectory() as folder:
        arguments.cache = arguments.cache or Path(folder)
        for name in names:
            sequence = faster_from_the_middle(Sequence.load(arguments.root, name, None), arguments.faster)
            trial = Trial(smaller(sequence, arguments.short_side, arguments.every), model, arguments)
            measured[name] = trial.measured(arguments.candidates)
            print(f"{name}: done", file=sys.stderr, flush=True)
            if arguments.save is not None:
                arguments.save.write_text(json.dumps(measured))
    report(measured, arguments.reach)
    return 0


if __name__ == "__main__":
    sys.exit(main())
