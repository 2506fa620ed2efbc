"""Adapting to a video: J and F without and with it, and what its own check says without true masks.

    python tests/benchmarks/adaptation.py ROOT --every 1 3

Each sequence in the DAVIS layout (../shared/data/davis), all frames or only every n-th (faster motion), is
propagated from its first mask by the bundled model, the model is adapted, and propagated again. `check` is
the overlap of labels carried there and back with the first mask, before and after; `kept` what a person gets:
the adapted model where the check says that it is better, else the plain one.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from propagation import VOID, Sequence, score

from smtc_model.adaptation import AdaptConfig, adapt
from smtc_model.propagation_config import PRESETS
from smtc_model.weights import load_model


def main() -> int:
    """Print a row per sequence and step, and the means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path, help="DAVIS root")
    parser.add_argument("--sequences", nargs="+", help="all by default")
    parser.add_argument("--every", type=int, nargs="+", default=[1], help="every n-th frame; several allowed")
    parser.add_argument("--frames", type=int, help="only the first so many of each")
    parser.add_argument("--preset", default="default")
    parser.add_argument("--model", help="name or file; the bundled one by default")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(arguments.threads)
    model = load_model(arguments.model, device="cpu")
    config = PRESETS[arguments.preset]
    names = arguments.sequences or sorted(p.name for p in (arguments.root / "JPEGImages" / "480p").iterdir())
    print(
        "| sequence | every | J, F plain | J, F adapted | check before, after | J&F of kept | seconds |\n"
        "|---|---|---|---|---|---|---|"
    )
    rows = []
    for every in arguments.every:
        for name in names:
            sequence = Sequence.load(arguments.root, name, arguments.frames, every=every)
            first = np.where(sequence.masks[0] == VOID, 0, sequence.masks[0])
            plain = score(arguments.preset, model, sequence, config)
            started = time.process_time()
            found = adapt(model, sequence.frames, {0: first}, config=AdaptConfig(), propagation=config)
            spent = time.process_time() - started
            adapted = score(arguments.preset, found.model, sequence, config)
            without, with_it = ((r["J"] + r["F"]) / 2 for r in (plain, adapted))
            kept = with_it if found.better else without
            rows.append((every, without, with_it, kept, spent))
            print(
                f"| {name} | {every} | {plain['J']:.3f}, {plain['F']:.3f} | {adapted['J']:.3f}, "
                f"{adapted['F']:.3f} | {found.before:.3f}, {found.after:.3f} | "
                f"{without:.3f} to {kept:.3f} ({kept - without:+.3f}) | {spent:.0f} |",
                flush=True,
            )
    for every in arguments.every:
        means = np.nanmean([row[1:] for row in rows if row[0] == every], axis=0)
        print(
            f"\nevery {every}: J&F plain {means[0]:.3f}, always adapted {means[1]:.3f}, "
            f"kept where it is better {means[2]:.3f}, {means[3]:.0f} s of processor time"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
