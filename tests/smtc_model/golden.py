"""Golden values and the parameters they belong to: each is filled from its own name, so none is stored."""

from __future__ import annotations

import functools
import math
import zlib
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

RTOL, ATOL = 1e-3, 1e-4
RELEASED_TENSORS = 174
RELEASED_PARAMETERS = 23_109_120

_CHANNELS = 384


def standard_normal(tag: str, shape: tuple[int, ...]) -> Tensor:
    """The recipe's z: float32, drawn from a generator that is seeded by the tag."""
    generator = np.random.RandomState(zlib.crc32(tag.encode()) & 0x7FFFFFFF)
    return torch.from_numpy(generator.standard_normal(shape).astype(np.float32))


@functools.cache
def parameter(name: str, shape: tuple[int, ...]) -> Tensor:
    """A parameter of the released model by its name and shape; not to be changed, since it is shared."""
    z = standard_normal(name, shape)
    leaf = name.rpartition(".")[2]
    if leaf == "slots_mu":
        return z
    if leaf == "slots_sigma":
        return 0.1 * z
    if name == "transport_proj.weight":
        return 0.004 * z
    if "norm" in name and leaf == "weight":
        return 1 + 0.1 * z
    if leaf in ("bias", "cls_token", "pos_embed"):
        return 0.02 * z
    scale = 4 if name.endswith("project_q.weight") else 1
    return scale * z / math.sqrt(math.prod(shape[1:]))


def released_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the released checkpoint's tensors, written down from its description."""
    c = _CHANNELS
    shapes: dict[str, tuple[int, ...]] = {
        "encoder.cls_token": (1, 1, c),
        "encoder.pos_embed": (1, 1 + 14 * 14, c),
        "encoder.patch_embed.proj.weight": (c, 3, 16, 16),
        "encoder.patch_embed.proj.bias": (c,),
        "encoder.norm.weight": (c,),
        "encoder.norm.bias": (c,),
        "transport_proj.weight": (c, 256, 1),
        "transport_proj.bias": (c,),
        "slot_attention.slots_mu": (1, 16, 1, c),
        "slot_attention.slots_sigma": (1, 16, 1, c),
    }
    linear = {"mlp_slot.0": (2 * c, c), "mlp_slot.2": (c, 2 * c)}
    linear |= {f"slot_attention.project_{x}": (c, c) for x in "qkv"}
    linear |= {f"slot_attention.mlp.{i}": (c, c) for i in (0, 2)}
    norms = [f"slot_attention.norm_{x}" for x in ("input", "slots", "pre_ff")]
    for i in range(12):
        block = f"encoder.blocks.{i}"
        norms += [f"{block}.norm1", f"{block}.norm2"]
        linear |= {
            f"{block}.attn.qkv": (3 * c, c),
            f"{block}.attn.proj": (c, c),
            f"{block}.mlp.fc1": (4 * c, c),
            f"{block}.mlp.fc2": (c, 4 * c),
        }
    for name in norms:
        shapes |= {f"{name}.weight": (c,), f"{name}.bias": (c,)}
    for name, shape in linear.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return shapes


def released_state() -> dict[str, Tensor]:
    """The released checkpoint's tensors, filled by the recipe."""
    return {name: parameter(name, shape) for name, shape in released_shapes().items()}


def encoder_state() -> dict[str, Tensor]:
    """Those of the encoder, under DINO's own names."""
    return {
        name.removeprefix("encoder."): parameter(name, shape)
        for name, shape in released_shapes().items()
        if name.startswith("encoder.")
    }


def head_state() -> dict[str, Tensor]:
    """Those of the slot head."""
    return {
        name: parameter(name, shape)
        for name, shape in released_shapes().items()
        if not name.startswith("encoder.")
    }


def assert_golden(actual: Tensor, golden: Mapping[str, Tensor], name: str) -> None:
    """Compare with the golden tensor of this name, whatever the dimensions are folded to."""
    expected = golden[name]
    torch.testing.assert_close(
        actual.detach().reshape(expected.shape).to(expected.dtype), expected, rtol=RTOL, atol=ATOL
    )


def as_grid(tensor: Tensor) -> Tensor:
    """(..., 256) -> (..., 16, 16), the token grid of the golden clips."""
    return tensor.unflatten(-1, (16, 16))
