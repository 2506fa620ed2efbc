"""Soft labels of many frames, kept until the other direction meets them: in memory, then on disk."""

from __future__ import annotations

import tempfile
from typing import IO, NamedTuple

import numpy as np
import torch
from torch import Tensor

MEMORY_BYTES = 256 * 2**20


class SoftLabels(NamedTuple):
    """Label probabilities of one frame on a grid coarser than its pixels."""

    index: int
    soft: Tensor
    """(L,hf,wf) float32, sums to 1 over L (after DINO's min-max it does not)."""
    ids: tuple[int, ...]
    """The label of each channel; the first is 0, the background."""
    confidence: dict[int, float] = {}  # noqa: RUF012 (never changed)
    """Object id -> [0,1]."""


class SoftStore:
    """Frame index -> soft labels as float16; what exceeds `memory_bytes` goes into a temporary file.

    The file has no name on systems that allow it, and is gone with `close` or the process.
    """

    def __init__(self, *, memory_bytes: int = MEMORY_BYTES) -> None:
        self._limit = memory_bytes
        self._used = 0
        self._arrays: dict[int, np.ndarray] = {}
        self._places: dict[int, tuple[int, tuple[int, ...]]] = {}
        self._rest: dict[int, SoftLabels] = {}
        self._file: IO[bytes] | None = None

    def put(self, index: int, labels: SoftLabels) -> None:
        """Keep the soft labels of a frame."""
        array = labels.soft.to(torch.float16).cpu().numpy()
        self._rest[index] = labels._replace(soft=torch.empty(0))
        if self._used + array.nbytes <= self._limit:
            self._arrays[index] = array
            self._used += array.nbytes
            return
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="smtc-soft-")  # noqa: SIM115 (closed by close)
        offset = self._file.seek(0, 2)
        self._file.write(array.tobytes())
        self._places[index] = (offset, array.shape)

    def pop(self, index: int) -> SoftLabels:
        """What was put, on the CPU; it is forgotten afterwards. Raises KeyError for an unknown frame."""
        rest = self._rest.pop(index)
        if index in self._arrays:
            array = self._arrays.pop(index)
            self._used -= array.nbytes
        else:
            assert self._file is not None
            offset, shape = self._places.pop(index)
            self._file.seek(offset)
            count = int(np.prod(shape))
            array = np.frombuffer(self._file.read(2 * count), np.float16).reshape(shape)
        return rest._replace(soft=torch.from_numpy(array.astype(np.float32)))

    def close(self) -> None:
        """Forget everything and delete the file."""
        self._arrays.clear()
        self._places.clear()
        self._rest.clear()
        if self._file is not None:
            self._file.close()
            self._file = None
