"""Soft labels of many frames, kept until the other direction meets them: in memory, then on disk."""

from __future__ import annotations

import tempfile
from typing import IO

import numpy as np
import torch

MEMORY_BYTES = 256 * 2**20


class SoftStore:
    """Frame index -> soft labels as float16; what exceeds `memory_bytes` goes into a temporary file.

    The file has no name on systems that allow it, and is gone with `close` or the process.
    """

    def __init__(self, *, memory_bytes: int = MEMORY_BYTES) -> None:
        self._limit = memory_bytes
        self._used = 0
        self._arrays: dict[int, np.ndarray] = {}
        self._places: dict[int, tuple[int, tuple[int, ...]]] = {}
        self._ids: dict[int, tuple[int, ...]] = {}
        self._file: IO[bytes] | None = None

    def put(self, index: int, soft: torch.Tensor, ids: tuple[int, ...]) -> None:
        """soft (L,hf,wf) of a frame, with the label of each channel."""
        array = soft.to(torch.float16).cpu().numpy()
        self._ids[index] = ids
        if self._used + array.nbytes <= self._limit:
            self._arrays[index] = array
            self._used += array.nbytes
            return
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="smtc-soft-")  # noqa: SIM115 (closed by close)
        offset = self._file.seek(0, 2)
        self._file.write(array.tobytes())
        self._places[index] = (offset, array.shape)

    def pop(self, index: int) -> tuple[torch.Tensor, tuple[int, ...]]:
        """(soft float32 (L,hf,wf), ids); it is forgotten afterwards. Raises KeyError for an unknown frame."""
        ids = self._ids.pop(index)
        if index in self._arrays:
            array = self._arrays.pop(index)
            self._used -= array.nbytes
        else:
            assert self._file is not None
            offset, shape = self._places.pop(index)
            self._file.seek(offset)
            count = int(np.prod(shape))
            array = np.frombuffer(self._file.read(2 * count), np.float16).reshape(shape)
        return torch.from_numpy(array.astype(np.float32)), ids

    def close(self) -> None:
        """Forget everything and delete the file."""
        self._arrays.clear()
        self._places.clear()
        if self._file is not None:
            self._file.close()
            self._file = None
