"""Models by name or file: loading, saving, converting, listing.

`load_model` takes the name of a bundled or local checkpoint, the name of a backbone, or a file in one of
these layouts: ours (see `save_model`), the released SMTC checkpoint, or the weights of one of the backbones.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .assets import WEIGHT_SUFFIXES, user_weights_folder, weights_files
from .backbone import BACKBONES, TIMM_PREFIX, Backbone, Progress, create_backbone, suggestion
from .checkpoint import backbone_state, read_checkpoint, read_metadata, write_checkpoint
from .config import ModelConfig
from .errors import ModelError
from .foreground import ForegroundNet
from .smtc import SMTC, SlotHead, backbone_hash

logger = logging.getLogger(__name__)

FALLBACK = "colour-texture"
PAPER_BACKBONE = "vit_small_patch16_224.dino"
_FORMAT_VERSION = 1
_RELEASED_TENSORS = 174


class ModelRow(NamedTuple):
    """One line of :func:`list_models`."""

    name: str
    kind: str
    """"backbone" or "checkpoint"."""
    available: str
    """"bundled", "local" or "download"."""
    licence: str
    source: str
    description: str
    default: bool
    """Whether :func:`load_model` takes it when no name is given."""


def resolve_device(name: str | torch.device = "auto") -> torch.device:
    """A device by name; "auto" is CUDA, else Apple's GPU, else the CPU. ModelError if it is not there."""
    if isinstance(name, torch.device):
        return name
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ModelError(f"there is no device {name!r}: use auto, cpu, cuda, cuda:1 or mps") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ModelError(
            f"device {name!r} is not there: this machine shows {torch.cuda.device_count()} CUDA GPUs"
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ModelError("device 'mps' is not there: this machine has no Apple GPU")
    if device.type not in ("cpu", "cuda", "mps"):
        raise ModelError(f"device {name!r} is not supported: use auto, cpu, cuda or mps")
    return device


def device_for(model: nn.Module, name: str | torch.device = "auto") -> torch.device:
    """As `resolve_device`, but "auto" is where the model's weights lie."""
    if name != "auto":
        return resolve_device(name)
    return next(itertools.chain(model.parameters(), model.buffers()), torch.zeros(0)).device


def load_model(
    name_or_file: str | Path | None = None,
    *,
    device: str | torch.device = "auto",
    progress: Progress | None = None,
) -> SMTC:
    """A model in evaluation mode on ``device``.

    name_or_file: None takes the bundled checkpoint that is marked as default, else the untrained
    "colour-texture". progress: told (bytes done, bytes in all) of a download. Raises ModelError.
    """
    target = resolve_device(device)
    if name_or_file is None:
        name_or_file = _default_checkpoint() or FALLBACK
    model = _load(name_or_file, progress)
    return model.to(target).eval()


def save_model(
    model: SMTC,
    path: Path | str,
    *,
    include_backbone: bool = True,
    licence: str = "unknown",
    description: str = "",
    provenance: Mapping[str, Any] | None = None,
    default: bool = False,
    half: bool = False,
) -> None:
    """Write a model as safetensors with its configuration in the metadata.

    include_backbone: else only the slot head is stored, and loading needs the backbone's own weights.
    provenance: JSON-serialisable account of how it came about. default: the choice of :func:`load_model` if
    bundled. half: store floating-point weights in 16 bit, half the size.
    """
    state = model.state_dict()
    if not include_backbone:
        info = BACKBONES.get(model.backbone.name)
        if info is not None and info.kind == "cnn":
            raise ModelError(
                f"backbone {info.name!r} has no published weights: they must be saved with the model"
            )
        state = {name: value for name, value in state.items() if not name.startswith("backbone.")}
    if not state:
        raise ModelError(f"model {model.name!r} has no weights to save")
    if half:
        state = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    metadata = {
        "version": _FORMAT_VERSION,
        "name": Path(path).stem,
        "backbone": model.backbone.name,
        "backbone_options": model.backbone.options,
        "backbone_hash": backbone_hash(model.backbone),
        "includes_backbone": include_backbone,
        "config": model.config.to_dict() if model.has_slots else None,
        "foreground": model.foreground is not None,
        "trained": model.trained,
        "licence": licence,
        "description": description,
        "provenance": dict(provenance or {}),
        "default": default,
    }
    write_checkpoint(Path(path), state, metadata)


def load_backbone_weights(backbone: Backbone, path: Path | str) -> None:
    """Fill one of our own backbones from a file: a model of ours, or the bare network's state dictionary."""
    state, metadata = read_checkpoint(Path(path))
    if metadata is not None and metadata.get("backbone") != backbone.name:
        raise ModelError(
            f"{str(path)!r} holds weights of backbone {metadata.get('backbone')!r}, not of {backbone.name!r}"
        )
    prefix = "backbone.net."
    own = {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
    _fill(backbone.net, own or backbone_state(state), Path(path))
    backbone.trained = metadata.get("trained", True) if metadata is not None else True


def convert_checkpoint(src: Path | str, dst: Path | str) -> SMTC:
    """The authors' released checkpoint -> our safetensors; returns the model.

    It keeps ``official_compat``, under which it was trained. Raises ModelError if ``src`` is something else.
    """
    state, metadata = read_checkpoint(Path(src))
    if metadata is not None or not _is_released(state):
        raise ModelError(f"{str(src)!r} is not a released SMTC checkpoint: its tensors have other names")
    model = _from_released(state, Path(src))
    save_model(
        model,
        dst,
        licence="none stated by its authors",
        description="released SMTC checkpoint, converted",
        provenance={"converted_from": Path(src).name},
    )
    return model


def list_models() -> list[ModelRow]:
    """Every checkpoint on this machine, then all backbones; damaged files are left out, with a warning."""
    default = _default_checkpoint()
    rows = []
    for path, origin in weights_files():
        if path.stem in BACKBONES:
            continue  # weights of a backbone: they make its own row "local"
        metadata = _metadata_or_none(path)
        if metadata is None:
            continue
        rows.append(
            ModelRow(
                path.stem,
                "checkpoint",
                origin,
                str(metadata.get("licence", "unknown")),
                f"on {metadata.get('backbone')}",
                str(metadata.get("description", "")),
                path == default,
            )
        )
    for info in BACKBONES.values():
        available = "bundled"
        if info.kind == "vit":
            from .hub import cached_weights

            available = "local" if cached_weights(info.name) else "download"
        is_default = default is None and info.name == FALLBACK
        rows.append(
            ModelRow(
                info.name, "backbone", available, info.licence, info.source, info.description, is_default
            )
        )
    return rows


def _load(name_or_file: str | Path, progress: Progress | None) -> SMTC:
    path = Path(name_or_file)
    name = str(name_or_file)
    if name in BACKBONES or name.startswith(TIMM_PREFIX):
        return SMTC(create_backbone(name, progress=progress))
    if path.is_file():
        return _load_file(path, progress)
    checkpoints = {file.stem: file for file, _ in reversed(weights_files())}
    if name in checkpoints:
        return _load_file(checkpoints[name], progress)
    if path.suffix in WEIGHT_SUFFIXES or path.parent != Path("."):
        raise ModelError(f"there is no weights file {name!r}")
    raise ModelError(f"there is no model called {name!r}{suggestion(name, tuple(checkpoints))}")


def _load_file(path: Path, progress: Progress | None) -> SMTC:
    state, metadata = read_checkpoint(path)
    if metadata is not None:
        return _from_ours(state, metadata, path, progress)
    if _is_released(state):
        return _from_released(state, path)
    name = path.stem if path.stem in BACKBONES else _recognise(backbone_state(state))
    if name is None:
        raise ModelError(
            f"{str(path)!r} holds {len(state)} tensors of an unknown network: put it into "
            f"'{user_weights_folder()}' under the name of its backbone, or convert it first"
        )
    return SMTC(create_backbone(name, weights=path), name=path.stem)


def _from_ours(
    state: dict[str, Tensor], metadata: dict[str, Any], path: Path, progress: Progress | None
) -> SMTC:
    if metadata.get("version", 0) > _FORMAT_VERSION:
        raise ModelError(f"{str(path)!r} was written by a newer version of this program: update it")
    try:
        config = None if metadata["config"] is None else ModelConfig.from_dict(metadata["config"])
        with_backbone = metadata["includes_backbone"]
        backbone = create_backbone(
            metadata["backbone"],
            pretrained=not with_backbone,
            options=metadata.get("backbone_options"),
            progress=progress,
        )
        trained = bool(metadata["trained"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"the description inside {str(path)!r} can't be used: {error}") from error
    head = None if config is None else SlotHead(backbone.channels, config)
    foreground = ForegroundNet() if metadata.get("foreground") else None
    model = SMTC(backbone, head, name=path.stem, trained=trained, foreground=foreground)
    if with_backbone:
        backbone.trained = trained
        _fill(model, state, path)
    else:
        if metadata.get("backbone_hash") != backbone_hash(backbone):
            raise ModelError(
                f"the slot head in {str(path)!r} was trained on other weights of {backbone.name!r} "
                "than those here"
            )
        for part, module in (("head.", head), ("foreground.", foreground)):
            own = {n.removeprefix(part): value for n, value in state.items() if n.startswith(part)}
            if module is not None or own:
                _fill(module or torch.nn.Module(), own, path)
    return _follow_config(model)


def _from_released(state: dict[str, Tensor], path: Path) -> SMTC:
    if len(state) != _RELEASED_TENSORS:
        raise ModelError(
            f"{str(path)!r} looks like a released SMTC checkpoint "
            f"but has {len(state)} of {_RELEASED_TENSORS} tensors"
        )
    backbone = create_backbone(PAPER_BACKBONE, pretrained=False)
    config = ModelConfig(official_compat=True)
    model = SMTC(backbone, SlotHead(backbone.channels, config), name=path.stem, trained=True)
    backbone.trained = True
    renamed = {
        f"backbone.net.{name.removeprefix('encoder.')}"
        if name.startswith("encoder.")
        else f"head.{name}": value
        for name, value in state.items()
    }
    _fill(model, renamed, path)
    return _follow_config(model)


def _follow_config(model: SMTC) -> SMTC:
    if model.config.official_compat and hasattr(model.backbone, "position_resampling"):
        model.backbone.position_resampling = "dino"
    return model


def _is_released(state: Mapping[str, Tensor]) -> bool:
    return "slot_attention.slots_mu" in state and "transport_proj.weight" in state


def _recognise(state: Mapping[str, Tensor]) -> str | None:
    """The one registered transformer that has weights of these shapes."""
    patch = state.get("patch_embed.proj.weight")
    if patch is None or patch.ndim != 4:
        return None
    if any(name.startswith("rope_embed.") or name in ("storage_tokens",) for name in state):
        return None  # DINOv3 comes in sizes that these shapes don't tell apart
    registers = any(name in state for name in ("register_tokens", "reg_token"))
    layer_scale = any(".ls1." in name for name in state)
    dinov2 = {False: "vit_small_patch14_dinov2.lvd142m", True: "vit_small_patch14_reg4_dinov2.lvd142m"}
    dino = {
        (384, 16): "vit_small_patch16_224.dino",
        (384, 8): "vit_small_patch8_224.dino",
        (768, 8): "vit_base_patch8_224.dino",
    }
    width, _, _, size = patch.shape
    if layer_scale:
        return dinov2[registers] if (width, size) == (384, 14) else None
    return dino.get((width, size)) if "pos_embed" in state else None


def _fill(module: torch.nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Copy weights into a module, which must want exactly these names and shapes."""
    wanted = module.state_dict()
    missing = sorted(set(wanted) - set(state))
    extra = sorted(set(state) - set(wanted))
    misfits = [name for name in wanted if name in state and wanted[name].shape != state[name].shape]
    for problem, names in (("misses", missing), ("also has", extra), ("has another shape for", misfits)):
        if names:
            raise ModelError(
                f"the weights in {str(path)!r} don't fit: "
                f"the file {problem} {len(names)} tensors, such as {names[0]!r}"
            )
    module.load_state_dict(dict(state))


def _default_checkpoint() -> Path | None:
    for path, origin in weights_files():
        if origin == "bundled" and path.suffix == ".safetensors":
            metadata = _metadata_or_none(path)
            if metadata is not None and metadata.get("default"):
                return path
    return None


def _metadata_or_none(path: Path) -> dict[str, Any] | None:
    if path.suffix != ".safetensors":
        return None
    try:
        return read_metadata(path)
    except ModelError as error:
        logger.warning("%s", error)
        return None
