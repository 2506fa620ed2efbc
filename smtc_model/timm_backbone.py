"""Builds backbones from timm's models by name, with their own statistics, patch size and weights."""

from __future__ import annotations

import sys
from pathlib import Path

import timm
import torch
from timm.models import PretrainedCfg
from torch import Tensor, nn

from .backbone import BACKBONES, TIMM_PREFIX, Backbone, Progress, suggestion
from .checkpoint import backbone_state, read_state_dict
from .config import IMAGENET_MEAN, IMAGENET_STD
from .errors import ModelError
from .hub import fetch_timm_weights
from .vit import ViTBackbone

_DEEPEST_STRIDE = 16


def create_timm_backbone(
    model: str,
    *,
    stage: int | None = None,
    weights: Path | str | None = None,
    pretrained: bool = True,
    progress: Progress | None = None,
) -> Backbone:
    """A backbone from the timm model ``model`` (with its tag, as timm writes it).

    ``stage`` selects a CNN's feature map; transformers have none. The weights come from ``weights``, else,
    if ``pretrained``, from where :func:`smtc_model.hub.fetch_timm_weights` finds them. Raises ModelError.
    """
    architecture = model.partition(".")[0]
    if not timm.is_model(architecture):
        raise ModelError(f"timm has no model called {model!r}{suggestion(model, tuple(timm.list_models()))}")
    if "." in model and model not in timm.list_pretrained(f"{architecture}.*"):
        raise ModelError(f"timm knows no weights called {model!r} for {architecture!r}")
    state = None
    if weights is not None or pretrained:
        path = Path(weights) if weights is not None else fetch_timm_weights(model, progress=progress)
        state = backbone_state(read_state_dict(path))
    try:
        if _is_transformer(architecture):
            if stage is not None:
                raise ModelError(f"{model!r} is a transformer and has no stages: leave ':{stage}' out")
            return _create_vit(model, state)
        return _create_cnn(model, stage, state)
    except (RuntimeError, KeyError) as error:
        if state is None:
            raise
        reason = str(error).splitlines()[0]
        raise ModelError(f"the weights do not fit the backbone {model!r}: {reason}") from error


def pretrained_cfg(model: str) -> PretrainedCfg:
    """timm's description of the model's weights: statistics, licence, hub repository."""
    return timm.get_pretrained_cfg(model) or PretrainedCfg()


def _is_transformer(architecture: str) -> bool:
    module = timm.model_entrypoint(architecture).__module__
    return module in ("timm.models.vision_transformer", "timm.models.eva")


def _settings(model: str, state: dict[str, Tensor] | None) -> dict:
    cfg = pretrained_cfg(model)
    info = BACKBONES.get(model)
    return {
        "mean": tuple(cfg.mean or IMAGENET_MEAN),
        "std": tuple(cfg.std or IMAGENET_STD),
        "licence": info.licence if info else (cfg.license or "see the model card"),
        "trained": state is not None,
    }


def _create_vit(model: str, state: dict[str, Tensor] | None) -> Backbone:
    net = timm.create_model(model, pretrained=False, num_classes=0, dynamic_img_size=True)
    if len(net.blocks) < 2:
        raise ModelError(f"{model!r} has {len(net.blocks)} block; a backbone needs at least 2")
    if state is not None:
        _load_filtered(net, state)
    return ViTBackbone(net, _name(model, None), **_settings(model, state))


def _create_cnn(model: str, stage: int | None, state: dict[str, Tensor] | None) -> Backbone:
    if state is not None:
        # timm's feature extractors take any weights, fitting or not: try them on the whole network first.
        whole = timm.create_model(model, pretrained=False, num_classes=0)
        _load_filtered(whole, state)
    reductions = _stage_strides(model)
    if stage is None:
        stage = max(
            index for index, stride in enumerate(reductions) if stride <= _DEEPEST_STRIDE or index == 0
        )
    if not 0 <= stage < len(reductions):
        raise ModelError(f"{model!r} has stages 0 to {len(reductions) - 1}, got {stage}")
    overlay = None if state is None else {"state_dict": dict(state)}
    net = timm.create_model(
        model,
        pretrained=state is not None,
        pretrained_cfg_overlay=overlay,
        features_only=True,
        out_indices=(stage,),
    )
    return Backbone(
        net,
        _name(model, stage),
        channels=net.feature_info.channels()[-1],
        stride=net.feature_info.reduction()[-1],
        **_settings(model, state),
    )


def _stage_strides(model: str) -> list[int]:
    with torch.device("meta"):
        return timm.create_model(model, pretrained=False, features_only=True).feature_info.reduction()


def _name(model: str, stage: int | None) -> str:
    if model in BACKBONES:
        return model
    return f"{TIMM_PREFIX}{model}" if stage is None else f"{TIMM_PREFIX}{model}:{stage}"


def _load_filtered(net: nn.Module, state: dict[str, Tensor]) -> None:
    """Load weights in timm's or the authors' own layout; RuntimeError names what is missing or too much."""
    patch = state.get("patch_embed.proj.weight")
    if patch is not None and patch.shape != net.patch_embed.proj.weight.shape:
        # timm would resample it to another patch size in silence
        expected = tuple(net.patch_embed.proj.weight.shape)
        raise RuntimeError(f"the patch embedding has shape {tuple(patch.shape)}, expected {expected}")
    convert = getattr(sys.modules[type(net).__module__], "checkpoint_filter_fn", None)
    if convert is not None:
        state = convert(dict(state), net)
    result = net.load_state_dict(state, strict=False)
    classifier = tuple(_classifier_names(net))
    unexpected = [name for name in result.unexpected_keys if not name.startswith(classifier)]
    if result.missing_keys or unexpected:
        wrong, names = ("misses", result.missing_keys) if result.missing_keys else ("also has", unexpected)
        raise RuntimeError(f"the file {wrong} {len(names)} tensors, such as {names[0]!r}")


def _classifier_names(net: nn.Module) -> list[str]:
    configured = getattr(net, "pretrained_cfg", {}).get("classifier") or ()
    names = [configured] if isinstance(configured, str) else list(configured)
    return [f"{name}." for name in (*names, "head", "fc", "classifier")]
