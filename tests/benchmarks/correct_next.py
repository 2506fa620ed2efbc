"""What one correction wins, by how its frame was chosen: simulated with true masks.

    python tests/benchmarks/correct_next.py ROOT --every 2 --short-side 240

Each sequence in the DAVIS layout (../shared/data/davis) is propagated from its first mask. Then one frame is
corrected with its true mask, everything is propagated anew from both, and J (over all objects and annotated
frames but the first, the corrected one counts as 1) is compared with J before. `suggested` is the first entry
of `smtc_app.core.correct_next`, `with consistency` the same with the confidence multiplied by the root of
the consistency; `worst` has the lowest confidence of any object, `middle` lies in the middle, `random` is the
mean of --random frames.
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

from smtc_app.core.correct_next import REACH, ObjectEvidence, suggest
from smtc_model.feature_cache import FeatureCache
from smtc_model.frame_features import cached_for
from smtc_model.metrics import jaccard
from smtc_model.propagation import propagate
from smtc_model.propagation_config import PRESETS
from smtc_model.weights import load_model

STRATEGIES = ("suggested", "with consistency", "worst", "middle", "random")


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
            footage=f"{sequence.name} {arguments.short_side} {arguments.every}",
            model_hash=model.hash,
            config=self._config,
            device="cpu",
        )
        self._known: dict[tuple[int, ...], float] = {}
        self.confidence = np.full((len(self.ids), self.count), np.nan)
        self.consistency = np.full((len(self.ids), self.count), np.nan)
        self.before = self.run((0,))

    def run(self, keys: tuple[int, ...]) -> float:
        """Mean J from true masks on these frames."""
        if keys in self._known:
            return self._known[keys]
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
        self._known[keys] = float(np.mean(j))
        return self._known[keys]

    def chosen(self, strategy: str, reach: float, randoms: int) -> list[int]:
        """The frames to correct: one, or several of which the mean counts."""
        known = [i for i in self.truth if i]
        unknown = [i for i in range(self.count) if i not in self.truth]
        if strategy == "random":
            return list(np.random.default_rng(0).choice(known, min(randoms, len(known)), replace=False))
        if strategy == "middle":
            return [min(known, key=lambda i: abs(i - self.count / 2))]
        if strategy == "worst":
            return [known[int(np.nanmin(self.confidence[:, known], 0).argmin())]]
        confidence = self.confidence
        if strategy == "with consistency":
            confidence = confidence * np.sqrt(np.nan_to_num(self.consistency, nan=1.0))
        evidence = [ObjectEvidence(i, "", confidence[row]) for row, i in enumerate(self.ids)]
        found = suggest(evidence, keyframes=(0,), locked=unknown, limit=1, reach=reach)
        return [found[0].frame] if found else self.chosen("middle", reach, randoms)


def main() -> int:
    """Print what each choice wins on each sequence."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path, help="DAVIS root")
    parser.add_argument("--sequences", nargs="+", help="all by default")
    parser.add_argument("--every", type=int, default=2, help="take every n-th frame")
    parser.add_argument("--short-side", type=int, default=240, help="of footage and features, in px")
    parser.add_argument("--random", type=int, default=3, help="random frames to average over")
    parser.add_argument("--reach", type=float, nargs="+", default=[REACH], help="of a correction, in frames")
    parser.add_argument("--preset", default="default")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--save", type=Path, help="keep J of every correction as JSON")
    parser.add_argument("--cache", type=Path, help="folder for features; a temporary one by default")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(arguments.threads)
    model = load_model(None, device="cpu")
    names = arguments.sequences or sorted(p.name for p in (arguments.root / "JPEGImages" / "480p").iterdir())
    columns = [(s, r) for s in STRATEGIES for r in (arguments.reach if s in STRATEGIES[:2] else (0.0,))]
    heads = [f"{s} (reach {r:g})" if r else s for s, r in columns]
    print(f"| sequence | J before | {' | '.join(heads)} |\n|{'---|' * (len(heads) + 2)}")
    gains, saved = [], {}
    with tempfile.TemporaryDirectory() as folder:
        arguments.cache = arguments.cache or Path(folder)
        for name in names:
            sequence = Sequence.load(arguments.root, name, None)
            trial = Trial(smaller(sequence, arguments.short_side, arguments.every), model, arguments)
            row, cells = [], []
            for strategy, reach in columns:
                frames = trial.chosen(strategy, reach, arguments.random)
                row.append(np.mean([trial.run((0, int(f))) for f in frames]) - trial.before)
                where = f" (frame {frames[0]})" if len(frames) == 1 else ""
                cells.append(f"{row[-1]:+.3f}{where}")
            gains.append(row)
            saved[name] = {
                "before": trial.before,
                "runs": {" ".join(map(str, keys)): j for keys, j in trial._known.items()},
                "confidence": trial.confidence.tolist(),
                "consistency": trial.consistency.tolist(),
            }
            if arguments.save is not None:
                arguments.save.write_text(json.dumps(saved))
            print(f"| {name} | {trial.before:.3f} | {' | '.join(cells)} |", flush=True)
    mean = " | ".join(f"**{value:+.3f}**" for value in np.mean(gains, 0))
    print(f"| **mean** | | {mean} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
