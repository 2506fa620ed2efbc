"""State of a training run on disk: replaced atomically, read without running code from it.

All randomness of a step is derived from (seed, step, part, process), so the step's number stands for the
state of every generator and sampler.
"""

from __future__ import annotations

import os
import pickle
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .errors import ModelError

FILE_NAME = "checkpoint.pt"


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors, numbers, strings, containers); an interruption leaves the old file."""
    target = folder / FILE_NAME
    partial = folder / f".{FILE_NAME}.part"
    with partial.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, target)


def load_checkpoint(folder: Path) -> dict[str, Any]:
    """What `save_checkpoint` wrote to `folder`. Raises ModelError if it is not there or damaged."""
    path = folder / FILE_NAME
    if not path.is_file():
        raise ModelError(f"{folder} holds no {FILE_NAME} to resume from; leave --resume out to start anew.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ModelError(f"The checkpoint {path} is damaged; delete it and start anew.") from error
    if not isinstance(state, dict) or not {"step", "objective", "config"} <= set(state):
        raise ModelError(f"{path} is no checkpoint of a training run.")
    return state


def step_seed(seed: int, step: int, part: int = 0, process: int = 0) -> int:
    """A number below 2**63 that is the same for the same step wherever and whenever it runs."""
    sequence = np.random.SeedSequence((zlib.crc32(b"smtc-model train"), seed, step, part, process))
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)
