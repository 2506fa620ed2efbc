"""The models that tasks use: loaded once, shared by threads, left for the CPU when the GPU's memory is short.

torch is imported inside the functions, so that the window is up before it is loaded.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smtc_app.core.errors import UserError

if TYPE_CHECKING:
    from smtc_model.smtc import SMTC

logger = logging.getLogger(__name__)

MODELS_KEPT = 2
_models: dict[tuple[str, str], SMTC] = {}
_models_lock = threading.Lock()


@dataclass(frozen=True)
class ModelSummary:
    """What the window tells about the model in use."""

    name: str
    hash: str
    trained: bool
    has_slots: bool
    device: str
    licence: str = ""
    """Of the backbone's weights."""


@dataclass(frozen=True)
class RunSummary:
    """What a finished propagation or proposal run tells: the model, and whether it left the GPU."""

    model: ModelSummary
    frames: int
    fell_back_to_cpu: bool = False

    @property
    def message(self) -> str:
        """One sentence for people, empty when there is nothing to tell."""
        if self.fell_back_to_cpu:
            return "The GPU ran out of memory, so this was computed on the CPU, which takes longer."
        return ""


@contextmanager
def errors_for_people() -> Iterator[None]:
    """Turn the model package's clause, as its command line shows it, into a sentence of the application."""
    from smtc_model.errors import ModelError

    try:
        yield
    except ModelError as error:
        raise UserError(_sentence(str(error))) from error


def _sentence(clause: str) -> str:
    """With a capital, unless it begins with a name or a path, and a full stop."""
    first, _, rest = clause.partition(" ")
    if rest and first.isascii() and first.isalpha():
        clause = clause[0].upper() + clause[1:]
    return clause if clause.endswith((".", "!", "?")) else f"{clause}."


def loaded_model(model: str | Path | None, device: str) -> SMTC:
    """The model of that name or file on that device; the last few stay loaded."""
    from smtc_model.weights import load_model, resolve_device

    key = (str(model or ""), str(resolve_device(device)))
    with _models_lock:
        if key not in _models:
            loaded = load_model(model, device=key[1])
            _one_thread_at_a_time(loaded.backbone)
            while len(_models) >= MODELS_KEPT:
                del _models[next(iter(_models))]
            _models[key] = loaded
        _models[key] = _models.pop(key)
        return _models[key]


def _one_thread_at_a_time(module: Any) -> None:
    """Let threads that share a network use it in turn: propagation, proposals and views do."""
    forward, turn = module.forward, threading.RLock()

    @functools.wraps(forward)
    def in_turn(*args: Any, **kwargs: Any) -> Any:
        with turn:
            return forward(*args, **kwargs)

    module.forward = in_turn


def summary_of(model: SMTC, device: str) -> ModelSummary:
    licence = model.backbone.licence
    return ModelSummary(model.name, model.hash, model.trained, model.has_slots, device, licence)


def with_cpu_to_fall_back_on(run: Callable[[str], Any], device: str) -> tuple[Any, str, bool]:
    """Run on `device`, and once more on the CPU when the GPU's memory does not suffice.

    Returns the result, the device it was computed on and whether it fell back.
    """
    import torch

    from smtc_model.weights import resolve_device

    chosen = str(resolve_device(device))
    if chosen != "cpu":
        try:
            return run(chosen), chosen, False
        except torch.cuda.OutOfMemoryError as error:
            logger.warning("out of memory on %s, going on with the CPU: %s", chosen, error)
        # Outside the handler: the exception's traceback would keep the tensors alive.
        with _models_lock:
            _models.clear()
        torch.cuda.empty_cache()
        return run("cpu"), "cpu", True
    return run(chosen), chosen, False


def model_task(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with errors_for_people():
            return function(*args, **kwargs)

    return wrapped
