"""The state of a propagation on disk, so that a run that was ended goes on with the same bytes.

`freeze` takes apart what a propagator remembers, whatever that is: tensors and arrays go into a safetensors
file, the rest into its header as JSON. `thaw` puts it back into a new propagator made with the same settings,
which keeps what cannot change during a run: modules, functions, settings.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from .errors import ModelError
from .propagation_config import PropagationConfig

logger = logging.getLogger(__name__)

VERSION = 7
FIRST_S, EVERY_S = 3.0, 30.0
_SEQUENCES = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}


class Frozen(NamedTuple):
    """What was taken apart."""

    tree: Any
    """JSON values that name the tensors"""
    tensors: dict[str, Tensor]
    """copies, on the CPU"""


class RunState(NamedTuple):
    """A run after a frame."""

    index: int
    """the last frame that was done"""
    source: int
    """the keyframe that it followed"""
    backward: bool
    propagator: Frozen


class RunRecord:
    """The file of one run's state.

    identity: JSON values that decide over the result (footage, model, settings, keyframes, ...); a state of
    another identity is refused. every_s: how often a state is due once a run has lasted; the first is due
    after `FIRST_S`, and each interval is twice the one before, so that a short run is gone on with, too.
    """

    def __init__(self, path: Path, *, identity: Mapping[str, Any], every_s: float = EVERY_S) -> None:
        self.path = path
        self._identity = json.dumps(identity, sort_keys=True)
        self._every_s = every_s
        self._interval_s = min(FIRST_S, every_s)
        self._last_s = time.monotonic()

    def due(self) -> bool:
        """Whether it is time to save; at most once per interval."""
        now_s = time.monotonic()
        if now_s - self._last_s < self._interval_s:
            return False
        self._last_s, self._interval_s = now_s, min(2 * self._interval_s, self._every_s)
        return True

    def load(self) -> RunState | None:
        """The saved state, None if there is none. Raises ModelError for a damaged file or another run's."""
        if not self.path.exists():
            return None
        try:
            with safe_open(self.path, "pt") as file:
                about = json.loads((file.metadata() or {})["state"])
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
            if about["version"] != VERSION:
                raise ValueError(f"version {about['version']}")
            place = int(about["index"]), int(about["source"]), bool(about["backward"])
            identity, tree = about["identity"], about["tree"]
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"The state {self.path} cannot be read ({error}); start the run anew, overwriting its output."
            ) from error
        if identity != self._identity:
            raise ModelError(
                f"The run that left {self.path} had {_difference(identity, self._identity)}; "
                "repeat its arguments, or start anew, overwriting its output."
            )
        return RunState(*place, Frozen(tree, tensors))

    def save(self, state: RunState) -> None:
        """Replace the file, at once or not at all. Raises OSError."""
        about = {
            "version": VERSION,
            "identity": self._identity,
            "index": state.index,
            "source": state.source,
            "backward": state.backward,
            "tree": state.propagator.tree,
        }
        content = save(state.propagator.tensors, {"state": json.dumps(about)})
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def remove(self) -> None:
        """The run is done; nothing to go on with."""
        self.path.unlink(missing_ok=True)


def _difference(one: str, other: str) -> str:
    before, now = json.loads(one), json.loads(other)
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return "another " + " and another ".join(name.replace("_", " ") for name in names)


def freeze(value: Any) -> Frozen:
    """Take apart; raises TypeError for something that it does not know."""
    tensors: dict[str, Tensor] = {}
    return Frozen(_frozen(value, tensors, {}), tensors)


def _frozen(value: Any, tensors: dict[str, Tensor], known: dict[int, str]) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return {"value": value}
    if isinstance(value, Tensor | np.ndarray):
        # What is one tensor in two places stays one.
        key = known.setdefault(id(value), str(len(known)))
        if key not in tensors:
            tensor = value if isinstance(value, Tensor) else torch.from_numpy(np.ascontiguousarray(value))
            tensors[key] = tensor.detach().cpu().clone().contiguous()
        if isinstance(value, Tensor):
            return {"tensor": key}
        return {"array": key}
    if isinstance(value, nn.Module | torch.device | PropagationConfig) or callable(value):
        return {"kept": type(value).__name__}
    if type(value).__module__.split(".")[0] == "cv2":
        return {"kept": type(value).__name__}
    if isinstance(value, Mapping):
        items = [[_frozen(key, tensors, known), _frozen(item, tensors, known)] for key, item in value.items()]
        return {"mapping": items}
    if type(value).__name__ in _SEQUENCES and type(value).__module__ == "builtins":
        return {type(value).__name__: [_frozen(item, tensors, known) for item in value]}
    module = type(value).__module__
    if module.split(".")[0] == __package__:
        fields = {name: _frozen(item, tensors, known) for name, item in _fields(value).items()}
        return {"object": f"{module}:{type(value).__qualname__}", "fields": fields}
    raise TypeError(f"a {type(value).__name__} cannot be part of a saved state")


def _fields(value: Any) -> dict[str, Any]:
    return value._asdict() if hasattr(value, "_asdict") else vars(value)


def thaw(frozen: Frozen, template: Any, *, device: torch.device | str = "cpu") -> Any:
    """Put together again, inside `template` where that has the same shape.

    device: of the tensors, wherever they were: a run may go on where there is another device.
    """
    return _thawed(frozen.tree, frozen.tensors, template, _Moved(frozen.tensors, device))


class _Moved(dict[str, Tensor]):
    """Tensors on a device, each brought there when it is first asked for: what is one tensor stays one."""

    def __init__(self, tensors: Mapping[str, Tensor], device: torch.device | str) -> None:
        super().__init__()
        self._tensors = tensors
        self._device = device

    def __missing__(self, key: str) -> Tensor:
        self[key] = self._tensors[key].to(self._device)
        return self[key]


def _thawed(tree: Any, tensors: Mapping[str, Tensor], template: Any, made: _Moved) -> Any:
    if "value" in tree:
        return tree["value"]
    if "kept" in tree:
        return template
    if "tensor" in tree:
        return made[tree["tensor"]]
    if "array" in tree:
        return tensors[tree["array"]].numpy()
    if "mapping" in tree:
        known = template if isinstance(template, Mapping) else {}
        pairs = [(_thawed(key, tensors, None, made), item) for key, item in tree["mapping"]]
        return {key: _thawed(item, tensors, known.get(key), made) for key, item in pairs}
    if "object" in tree:
        return _thawed_object(tree, tensors, template, made)
    ((kind, items),) = tree.items()
    known = list(template) if isinstance(template, list | tuple) else []
    known += [None] * (len(items) - len(known))
    return _SEQUENCES[kind](
        _thawed(item, tensors, old, made) for item, old in zip(items, known[: len(items)], strict=True)
    )


def _thawed_object(tree: Any, tensors: Mapping[str, Tensor], template: Any, made: _Moved) -> Any:
    module, _, name = tree["object"].partition(":")
    if module.split(".")[0] != __package__:
        raise ModelError(f"A saved state names {module}, which is no part of the engine; start the run anew.")
    kind = getattr(importlib.import_module(module), name)
    same = type(template) is kind
    old = _fields(template) if same else {}
    fields = {key: _thawed(item, tensors, old.get(key), made) for key, item in tree["fields"].items()}
    if issubclass(kind, tuple):
        return kind(**fields)
    result = template if same and not dataclasses.is_dataclass(kind) else kind.__new__(kind)
    for key, item in fields.items():
        object.__setattr__(result, key, item)
    return result
