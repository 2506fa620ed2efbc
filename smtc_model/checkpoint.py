"""Reads weight files without ever running code from them, and writes ours.

Ours are safetensors whose metadata holds one JSON document under `METADATA_KEY`. Pickles, in which the
authors of DINO and SMTC publish, are read with torch's restricted unpickler only.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from .errors import ModelError

METADATA_KEY = "smtc"
_ZIP_START = b"PK"
_LEGACY_START = b"\x80\x02"  # a pickle of protocol 2
# What training scripts wrap their weights in, the most useful first: a teacher is an average of its student.
_WRAPPERS = ("model_state_dict", "teacher", "student", "state_dict", "model_ema", "model")


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file or of a PyTorch checkpoint, on the CPU.

    They are taken out of the dictionaries that training scripts put around them. Raises ModelError for
    anything else, saying why.
    """
    return read_checkpoint(path)[0]


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any] | None]:
    """As :func:`read_state_dict`, together with our own metadata; None in files of others."""
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"there is no weights file {str(path)!r}")
    if path.stat().st_size == 0:
        raise ModelError(f"the weights file {str(path)!r} is empty")
    try:
        if path.suffix == ".safetensors":
            return _read_safetensors(path)
        return _read_pickle(path), None
    except PermissionError as error:
        raise ModelError(f"the weights file {str(path)!r} may not be read: check its permissions") from error


def read_metadata(path: Path) -> dict[str, Any] | None:
    """Only our metadata of a .safetensors file, without its tensors; None in files of others."""
    try:
        with safe_open(path, framework="pt") as file:
            return _parse_metadata(path, file.metadata())
    except SafetensorError as error:
        raise ModelError(_damaged(path, error)) from error


def write_checkpoint(path: Path, state: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write tensors and metadata as safetensors; an existing file is replaced only by a complete new one."""
    path = Path(path)
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    data = save(tensors, metadata={METADATA_KEY: json.dumps(metadata, sort_keys=True)})
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)  # mkstemp keeps it to its owner
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def backbone_state(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's own tensors of a checkpoint, without the prefixes that DINO's training puts before them;
    what else was trained, such as projection heads, stays behind."""
    for prefix in ("module.backbone.", "backbone.", "module."):
        if any(name.startswith(prefix) for name in state):
            return {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
    return state


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any] | None]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = _parse_metadata(path, file.metadata())
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118
    except SafetensorError as error:
        raise ModelError(_damaged(path, error)) from error


def _parse_metadata(path: Path, metadata: Mapping[str, str] | None) -> dict[str, Any] | None:
    if not metadata or METADATA_KEY not in metadata:
        return None
    try:
        parsed = json.loads(metadata[METADATA_KEY])
    except json.JSONDecodeError as error:
        raise ModelError(_damaged(path, error)) from error
    if not isinstance(parsed, dict):
        raise ModelError(_damaged(path, "its description is not a JSON object"))
    return parsed


def _read_pickle(path: Path) -> dict[str, Tensor]:
    with path.open("rb") as file:
        start = file.read(2)
    if start not in (_ZIP_START, _LEGACY_START):
        raise ModelError(f"{str(path)!r} is no weights file: neither safetensors nor written by torch.save")
    try:
        # DINO's full checkpoints keep their command line as a Namespace, a plain holder of values.
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "GLOBAL" in str(
            error
        ):  # it names a class or function that is not on torch's list of harmless ones
            raise ModelError(
                f"{str(path)!r} is refused: it is more than plain weights, loading it could run code"
            ) from error
        raise ModelError(_damaged(path, error)) from error
    except (RuntimeError, OSError, EOFError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise ModelError(_damaged(path, error)) from error
    return _unwrap(path, content)


def _unwrap(path: Path, content: object) -> dict[str, Tensor]:
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            return _unwrap(path, content[wrapper])
    if not isinstance(content, Mapping):
        raise ModelError(f"{str(path)!r} holds no weights but a {type(content).__name__}")
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if not tensors:
        raise ModelError(f"{str(path)!r} holds no weights: there is not one tensor in it")
    return tensors


def _damaged(path: Path, reason: object) -> str:
    text = str(reason).strip() or type(reason).__name__
    first_sentence = text.splitlines()[0].partition(". ")[0].rstrip(".")
    return (
        f"the weights file {str(path)!r} is damaged, cut short or of another kind "
        f"({first_sentence}): fetch it again"
    )
