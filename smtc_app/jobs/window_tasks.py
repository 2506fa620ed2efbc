"""The tasks as the window asks for them: on a source of their own, several groups of objects in one job.

The window's decoder thread and the worker never share a decoder: each job reads through `source.reopen()`.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smtc_app.io.mask_folder import match_masks, object_hints, read_masks
from smtc_app.io.masks import read_mask
from smtc_app.jobs import tasks
from smtc_app.jobs.context import TaskContext
from smtc_app.jobs.model_use import ModelSummary, RunSummary
from smtc_app.jobs.tasks import propagate_task

if TYPE_CHECKING:
    from smtc_app.core.frame_regions import FrameRegions
    from smtc_app.io.source import FrameSource

logger = logging.getLogger(__name__)

PropagationGroup = tuple[frozenset[int], Mapping[int, np.ndarray], str, tuple[int, int]]
"""Ids, labels of their keyframes, direction, and the frames to compute as (first, one past the last)."""


def on_own_source(task: Callable[..., Any]) -> Callable[..., Any]:
    """`task(ctx, source, ...)` reading through a source that is its own and is closed when it ends."""

    @functools.wraps(task)
    def wrapped(ctx: TaskContext, source: FrameSource, *args: Any, **kwargs: Any) -> Any:
        with source.reopen() as own:
            return task(ctx, own, *args, **kwargs)

    return wrapped


def regions_task(
    ctx: TaskContext, source: FrameSource, frame: int, **settings: Any
) -> tuple[FrameSource, int, FrameRegions]:
    """What `tasks.regions_task` gives for a frame, with what was asked about."""
    with source.reopen() as own:
        return source, frame, tasks.regions_task(ctx, own, frame, **settings)


class _PartContext:
    """A context for one of several runs in a row: progress counts on, partial results carry the run's ids."""

    def __init__(self, ctx: TaskContext, ids: frozenset[int], done: int, total: int) -> None:
        self._ctx, self._ids, self._done, self._total = ctx, ids, done, total
        self.reached = done

    def progress(self, done: int, total: int, message: str = "") -> None:
        self.reached = self._done + done
        self._ctx.progress(self.reached, self._total, message)

    def partial(self, result: Any) -> None:
        self._ctx.partial((self._ids, result))

    def cancelled(self) -> bool:
        return self._ctx.cancelled()


def propagate_groups_task(
    ctx: TaskContext, source: FrameSource, groups: Sequence[PropagationGroup], **settings: Any
) -> RunSummary:
    """Propagate groups of objects one after the other; hands over (ids, `PropagatedFrame`) per frame.

    Args:
        groups: at least one; objects of one group share their keyframes.
        settings: what `propagate_task` takes besides (model, preset, device).
    """
    total = sum(
        sum(1 for frame in range(first, stop) if frame not in keyframes)
        for _, keyframes, _, (first, stop) in groups
    )
    done, frames, fell_back = 0, 0, False
    for ids, keyframes, direction, span in groups:
        part = _PartContext(ctx, ids, done, total)
        summary = propagate_task(
            part, source, keyframes, direction=direction, span=span, objects=set(ids), **settings
        )
        done = part.reached
        frames += summary.frames
        fell_back = fell_back or summary.fell_back_to_cpu
    return RunSummary(summary.model, frames, fell_back)


def import_mask_task(
    ctx: TaskContext, path: str | Path, size: tuple[int, int]
) -> tuple[np.ndarray, list[str]]:
    """The label map (H,W) of a mask image of `size` (width, height), and what was repaired in it."""
    ctx.progress(0, 1, "reading the mask")
    return read_mask(path, size)


def import_masks_task(ctx: TaskContext, source: FrameSource, folder: Path) -> list[str]:
    """Hand over (frame, labels (H,W), hints about objects) for every mask of a folder; returns notes."""
    masks, notes = match_masks(folder, source)
    hints = object_hints(folder)
    for done, (frame, labels) in enumerate(read_masks(masks, source.size, notes), start=1):
        labels.setflags(write=False)
        ctx.partial((frame, labels, hints))
        ctx.progress(done, len(masks), "reading masks")
    return notes


def preload_task(ctx: TaskContext, **settings: Any) -> ModelSummary:
    """Import torch and load the model, with as little as possible of the interpreter held meanwhile.

    Args:
        settings: what `tasks.preload_task` takes (model, device).
    """
    _load_torch_libraries()
    return tasks.preload_task(ctx, **settings)


def _load_torch_libraries() -> None:
    """Map torch's shared libraries into the process before `import torch` does.

    Python holds its lock while it loads an extension, which stops the window for a second; a foreign call
    does not. Only what knows nothing of Python may be loaded this way. A library that is not found here is
    simply loaded by the import.
    """
    if os.name != "posix":
        return
    spec = importlib.util.find_spec("torch")
    folders = (spec.submodule_search_locations or ()) if spec is not None else ()
    for folder in folders:
        library = Path(folder) / "lib" / "libtorch.so"
        if library.exists():
            dlopen = ctypes.CDLL(None).dlopen
            dlopen.argtypes, dlopen.restype = (ctypes.c_char_p, ctypes.c_int), ctypes.c_void_p
            if not dlopen(os.fsencode(library), os.RTLD_NOW):
                logger.info("%s could not be loaded ahead of torch", library)
