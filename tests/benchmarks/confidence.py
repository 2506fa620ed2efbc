"""How far the confidence can be trusted: its rank correlation with the true J, and a reliability table.

    python tests/benchmarks/confidence.py ROOT --save rows.json
    python tests/benchmarks/confidence.py --load rows.json
    python tests/benchmarks/confidence.py ROOT --every 1 2 --write

One row per object and frame, propagated from the first mask of each sequence in the DAVIS layout
(../shared/data/davis). J is the overlap with the true mask; rows where the object is neither there nor found
are left out. `consistency` is the agreement with the keyframe after carrying the labels back to it. The
calibration error is the mean distance between confidence and J over the table's bins.

The map from certainty to confidence is fitted anew as well, on all sequences, and for each on the others (so
that its error is that of footage which it has not seen). `--write` puts it into `smtc_model/confidence.py`:
after a change of the engine or the bundled weights, that one command is all there is to do.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from propagation import VOID, Sequence
from scipy.optimize import nnls
from scipy.stats import spearmanr

from smtc_model import confidence
from smtc_model.metrics import jaccard
from smtc_model.propagation import propagate
from smtc_model.propagation_config import PRESETS
from smtc_model.weights import load_model

STIFFNESS = 1.0
"""Of the fitted map against changes of slope, relative to the weight of a piece's rows. Of .02 to 3 about the
one with the least error on sequences left out."""
LEAST_RISE = 0.005
"""Of a piece, so that the map can be undone."""
BINS = (0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def smaller(sequence: Sequence, short_side_px: int, every: int) -> Sequence:
    """Every n-th frame at a short side; masks by nearest neighbour."""
    scale = short_side_px / min(sequence.frames[0].shape[:2])
    height, width = sequence.frames[0].shape[:2]
    size = (round(width * scale), round(height * scale))
    return Sequence(
        sequence.name,
        [cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in sequence.frames[::every]],
        {
            i // every: cv2.resize(m, size, interpolation=cv2.INTER_NEAREST)
            for i, m in sequence.masks.items()
            if i % every == 0
        },
    )


def rows_of(sequence: Sequence, model: torch.nn.Module, preset: str) -> list[dict]:
    """One row per object and frame."""
    first = np.where(sequence.masks[0] == VOID, 0, sequence.masks[0])
    ids = [int(i) for i in np.unique(first) if i]
    rows = []
    for frame in propagate(model, sequence.frames, {0: first}, config=PRESETS[preset], check=True):
        truth = sequence.masks.get(frame.index)
        if truth is None:
            continue
        for i in ids:
            pair = truth == i, frame.labels == i
            if pair[0].any() or pair[1].any():
                rows.append(
                    {
                        "sequence": sequence.name,
                        "frame": frame.index,
                        "object": i,
                        "confidence": frame.confidence[i],
                        "consistency": frame.consistency.get(i, 0.0),
                        "area": int(pair[1].sum()),
                        "j": jaccard(*pair, void=truth == VOID),
                    }
                )
    return rows


def table(values: np.ndarray, j: np.ndarray) -> list[tuple[float, float, int, float, float]]:
    """(low, high, rows, mean value, mean J) of every bin that holds rows."""
    found = []
    for low, high in itertools.pairwise(BINS):
        inside = (values >= low) & ((values < high) | (high == 1))
        if inside.any():
            found.append(
                (low, high, int(inside.sum()), float(values[inside].mean()), float(j[inside].mean()))
            )
    return found


def calibration_error(values: np.ndarray, j: np.ndarray) -> float:
    """Mean distance between confidence and J over the bins, weighted by their rows."""
    found = table(values, j)
    return sum(n * abs(value - mean) for _, _, n, value, mean in found) / len(j)


def certainty_of(rows: list[dict]) -> np.ndarray:
    """What the engine's confidence was made of, through the map that it was made with."""
    found = [row["confidence"] for row in rows]
    return np.interp(found, confidence._MEAN_J, confidence._CERTAINTY)


def fitted(rows: list[dict]) -> np.ndarray:
    """Mean J at the map's places: rising straight pieces, each sequence weighted by the root of its rows.

    Objects that win no cell have a confidence of their own and are left out. Where there are few rows the
    pieces are drawn towards one slope.
    """
    knots = np.array(confidence._CERTAINTY)
    rows = [row for row in rows if row["area"]]
    names = np.array([row["sequence"] for row in rows])
    counts = {name: np.count_nonzero(names == name) for name in set(names)}
    weights = np.array([counts[name] ** -0.25 for name in names])  # squared in the sum of squares
    j = np.array([row["j"] for row in rows])
    certainty = certainty_of(rows).clip(knots[0], knots[-1])
    widths = np.diff(knots)
    ramps = ((certainty[:, None] - knots[:-1]) / widths).clip(
        0, 1
    )  # (rows, pieces): share of each that counts
    stiffness = STIFFNESS * np.sqrt((weights**2).sum() / len(widths))
    slopes = np.diff(np.diag(widths.mean() / widths), axis=0) * stiffness
    system = np.concatenate([ramps * weights[:, None], slopes])
    rises, _ = nnls(system, np.concatenate([j * weights, np.zeros(len(slopes))]))
    mean_j = np.concatenate([[0.0], np.cumsum(np.maximum(rises, LEAST_RISE))])
    return mean_j / max(1.0, mean_j[-1])


def refitted(rows: list[dict], mean_j: np.ndarray) -> np.ndarray:
    """The rows' confidence by another map."""
    found = np.interp(certainty_of(rows), confidence._CERTAINTY, mean_j)
    return np.where([row["area"] > 0 for row in rows], found, confidence.NOWHERE)


def report_fit(rows: list[dict]) -> np.ndarray:
    """Print the map fitted to all rows and its error on sequences left out; returns it."""
    mean_j = fitted(rows)
    names = sorted({row["sequence"] for row in rows})
    j = np.array([row["j"] for row in rows])
    unseen = np.zeros(len(rows))
    for name in names:
        out = np.array([row["sequence"] == name for row in rows])
        others = fitted([row for row in rows if row["sequence"] != name]) if len(names) > 1 else mean_j
        unseen[out] = refitted([row for row in rows if row["sequence"] == name], others)
    print(
        "\n| map | Spearman with J | calibration error | distance of a sequence's means |\n|---|---|---|---|"
    )
    everywhere = refitted(rows, mean_j)
    for title, values in (("fitted to all", everywhere), ("each sequence by the others' map", unseen)):
        of = [np.array([row["sequence"] == name for row in rows]) for name in names]
        distance = np.mean([abs(values[own].mean() - j[own].mean()) for own in of])
        rank = spearmanr(values, j)[0]
        print(f"| {title} | {rank:.3f} | {calibration_error(values, j):.3f} | {distance:.3f} |")
    print(
        f"\nmap: {', '.join(f'{c:g} to {m:.2f}' for c, m in zip(confidence._CERTAINTY, mean_j, strict=True))}"
    )
    return mean_j


def write(mean_j: np.ndarray) -> None:
    """Put the map into the source of `smtc_model.confidence`."""
    path = Path(confidence.__file__)
    values = ", ".join(repr(round(float(value), 3)) for value in mean_j)
    text, count = re.subn(r"_MEAN_J = \([^)]*\)", f"_MEAN_J = ({values})", path.read_text())
    if count != 1:
        raise SystemExit(f"{path} has no map to replace")
    path.write_text(text)


def report(rows: list[dict]) -> None:
    """Print everything."""
    column = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    j = column["j"]
    print(
        f"{len(rows)} objects and frames, {len(set(column['sequence']))} sequences, mean J {j.mean():.3f}\n"
    )
    print("| measure | Spearman with J | mean within sequences | calibration error |\n|---|---|---|---|")
    both = np.sqrt(column["confidence"] * column["consistency"])
    for name, values in (
        ("confidence", column["confidence"]),
        ("consistency", column["consistency"]),
        ("geometric mean of both", both),
    ):
        within = []
        for sequence in sorted(set(column["sequence"])):
            chosen = column["sequence"] == sequence
            if np.ptp(values[chosen]) > 0 and np.ptp(j[chosen]) > 0:
                within.append(spearmanr(values[chosen], j[chosen])[0])
        rank = spearmanr(values, j)[0]
        print(f"| {name} | {rank:.3f} | {np.mean(within):.3f} | {calibration_error(values, j):.3f} |")
    print("\n| confidence | rows | mean confidence | mean J |\n|---|---|---|---|")
    for low, high, n, value, mean in table(column["confidence"], j):
        print(f"| {low:g} to {high:g} | {n} | {value:.3f} | {mean:.3f} |")
    print("\n| sequence | rows | mean confidence | mean J | Spearman |\n|---|---|---|---|---|")
    for sequence in sorted(set(column["sequence"])):
        chosen = column["sequence"] == sequence
        c = column["confidence"][chosen]
        rank = spearmanr(c, j[chosen])[0]
        print(f"| {sequence} | {chosen.sum()} | {c.mean():.3f} | {j[chosen].mean():.3f} | {rank:.2f} |")


def main() -> int:
    """Propagate, or load the rows of an earlier run, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path, nargs="?", help="DAVIS root")
    parser.add_argument("--sequences", nargs="+", help="all by default")
    parser.add_argument("--frames", type=int, help="only the first so many frames of each")
    parser.add_argument("--every", type=int, nargs="+", default=[1], help="every n-th frame; several allowed")
    parser.add_argument("--short-side", type=int, default=480, help="of the footage, in px")
    parser.add_argument("--preset", default="default")
    parser.add_argument("--model", help="name or file; the bundled one by default")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--save", type=Path, help="keep the rows as JSON")
    parser.add_argument("--load", type=Path, nargs="+", help="rows of earlier runs")
    parser.add_argument(
        "--write", action="store_true", help="put the fitted map into smtc_model/confidence.py"
    )
    arguments = parser.parse_args()
    if arguments.load is not None:
        found = [row for path in arguments.load for row in json.loads(path.read_text())]
        return told(found, arguments.write)
    if arguments.root is None:
        parser.error("give a DAVIS root, or --load")
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(arguments.threads)
    model = load_model(arguments.model, device="cpu")
    names = arguments.sequences or sorted(p.name for p in (arguments.root / "JPEGImages" / "480p").iterdir())
    rows = []
    for name, every in itertools.product(names, arguments.every):
        sequence = Sequence.load(arguments.root, name, arguments.frames)
        rows += rows_of(smaller(sequence, arguments.short_side, every), model, arguments.preset)
        print(f"{name}: {len(rows)} rows", file=sys.stderr, flush=True)
        if arguments.save is not None:
            arguments.save.write_text(json.dumps(rows))
    return told(rows, arguments.write)


def told(rows: list[dict], to_write: bool) -> int:
    """Print everything, and write the map if wanted."""
    report(rows)
    mean_j = report_fit(rows)
    if to_write:
        write(mean_j)
    return 0


if __name__ == "__main__":
    sys.exit(main())
