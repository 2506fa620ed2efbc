"""The paper's training (arXiv 2308.09951): slots that agree over time, on top of any backbone.

Student and teacher see the same clip in two independently coloured and blurred copies, so their tokens
correspond by position. The teacher is a moving average of the slot head; the encoder is the student's own.
The three losses are those of `losses.py`.

Deviations from the release: clips are cropped at random (at least `min_crop` of each side) before being
squashed, for variety; the frames of clips that are too short stand closer together; a backbone that is frozen
for good stays in evaluation mode. The deviations of the slots themselves are told in `slots.py`.

Letters: B clips, T frames, S pixels (side of the input).
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from . import augment
from .data import ClipCache, sample_indices
from .losses import consistency_loss, distinctness_loss, instance_loss
from .smtc import SMTC, ClipOutput
from .train_config import SlotConfig
from .train_pictures import mask_colours
from .training import ParameterGroup, average_into, draw_clips, split_by_decay


class SlotBatch(NamedTuple):
    student: Tensor
    """(B,T,3,S,S) uint8 RGB."""
    teacher: Tensor
    """(B,T,3,S,S) uint8 RGB: the same pixels, other colours."""


class SlotObjective:
    """Trains the slot head of `model` and, unless it stays frozen, its backbone."""

    name = "smtc"

    def __init__(self, model: SMTC, config: SlotConfig) -> None:
        if not model.has_slots:
            raise ValueError(f"model {model.name!r} has no slot head to train")
        self.config = config
        self.student = model
        self.teacher_head = copy.deepcopy(model.head).requires_grad_(False)
        self._frozen = config.backbone_lr_share == 0
        if self._frozen:
            model.backbone.requires_grad_(False)

    def to(self, device: torch.device) -> None:
        self.student.to(device).train()
        self.teacher_head.to(device).train()
        if self._frozen:
            self.student.backbone.eval()

    def parameter_groups(self, weight_decay: float) -> list[ParameterGroup]:
        head = split_by_decay(self.student.head.named_parameters(), weight_decay, name="head")
        if self._frozen:
            return head
        return head + split_by_decay(self.student.backbone.named_parameters(), weight_decay, name="backbone")

    def rate_scale(self, group: str, step: int) -> float:
        """The backbone waits until the slots mean something, and then follows slowly."""
        if group == "head":
            return 1.0
        return self.config.backbone_lr_share if step >= self.config.freeze_steps else 0.0

    def make_batch(self, cache: ClipCache, clips: int, rng: np.random.Generator) -> SlotBatch:
        return make_batch(cache, clips, self.config, rng)

    def losses(self, batch: SlotBatch, generator: torch.Generator) -> dict[str, Tensor]:
        """Scalars; "total" is what is minimised."""
        student = self._student_output(batch.student.float() / 255, generator)
        with torch.no_grad():
            keys = self._keys(batch.teacher.float() / 255)
            teacher = self.teacher_head(keys, generator=generator)
        terms = {
            "consistency": consistency_loss(student.semantic_logits, teacher.semantic_logits, teacher.keys),
            "distinctness": distinctness_loss(student.semantic_logits),
            "instance": instance_loss(student.embeddings, teacher.embeddings, student.valid, teacher.valid),
        }
        total = sum(getattr(self.config, f"{name}_weight") * value for name, value in terms.items())
        used = student.semantic_masks.detach().mean(dim=(0, 1, 3, 4))
        entropy = -(used * used.clamp(min=1e-8).log()).sum()
        valid = student.valid.detach().float().mean()
        return {"total": total, **terms, "slots_used": entropy.exp(), "valid_share": valid}

    def _keys(self, frames: Tensor) -> Tensor:
        return self.student.backbone(frames.flatten(0, 1)).keys.float().unflatten(0, frames.shape[:2])

    def _student_output(self, frames: Tensor, generator: torch.Generator) -> ClipOutput:
        with torch.set_grad_enabled(not self._frozen):
            keys = self._keys(frames)
        return self.student.group(keys, generator=generator)

    def update_teacher(self, momentum: float, step: int) -> None:
        del step
        average_into(self.teacher_head, self.student.head, momentum)

    def state_dict(self) -> dict[str, dict[str, Tensor]]:
        return {"student": self.student.state_dict(), "teacher": self.teacher_head.state_dict()}

    def load_state_dict(self, state: dict[str, dict[str, Tensor]]) -> None:
        self.student.load_state_dict(state["student"])
        self.teacher_head.load_state_dict(state["teacher"])

    def result(self) -> SMTC:
        """The model to keep: the student's backbone under the teacher's head."""
        backbone = copy.deepcopy(self.student.backbone).eval()
        backbone.trained = True
        foreground = copy.deepcopy(self.student.foreground)
        head = copy.deepcopy(self.teacher_head)
        return SMTC(backbone, head, name=self.student.name, trained=True, foreground=foreground).eval()

    def pictures(self, batch: SlotBatch) -> dict[str, Tensor]:
        """What TensorBoard shows: the first clip above its semantics and above its instances."""
        model = self.result()
        with torch.no_grad():
            output = model.forward_clip(batch.student[:1].float() / 255)
        frames = batch.student[0].float() / 255
        return {
            "semantics": mask_colours(frames, output.semantic_masks[0]),
            "instances": mask_colours(frames, output.instance_masks[0].flatten(1, 2)),
        }


def make_batch(cache: ClipCache, clips: int, config: SlotConfig, rng: np.random.Generator) -> SlotBatch:
    """`clips` random clips, none twice while there are enough, each in two copies."""
    copies: tuple[list, list] = ([], [])
    for number in draw_clips(cache, clips, rng):
        info = cache.clips[number]
        indices = sample_indices(info.frames, config.frames, config.gap, rng)
        height, width = (int(side * rng.uniform(config.min_crop, 1)) for side in (info.height, info.width))
        top, left = int(rng.integers(info.height - height + 1)), int(rng.integers(info.width - width + 1))
        mirror = rng.random() < 0.5
        frames = []
        for index in indices:
            frame = cache.frame(number, int(index))[top : top + height, left : left + width]
            frame = cv2.resize(frame, (config.size, config.size), interpolation=cv2.INTER_AREA)
            frames.append(np.ascontiguousarray(frame[:, ::-1]) if mirror else frame)
        for target in copies:
            target.append(_recoloured(frames, config, rng))
    return SlotBatch(*(torch.from_numpy(np.array(part)).permute(0, 1, 4, 2, 3) for part in copies))


def _recoloured(frames: list[np.ndarray], config: SlotConfig, rng: np.random.Generator) -> list[np.ndarray]:
    jitter = rng.random() < config.colour_probability
    transform = augment.colour_transform(
        rng,
        strength=config.colour if jitter else 0.0,
        hue=config.hue if jitter else 0.0,
        grey=config.grey,
    )
    sigma = rng.uniform(0.1, 2.0) if rng.random() < config.blur else 0.0
    if sigma:
        frames = [cv2.GaussianBlur(frame, (0, 0), sigma) for frame in frames]
    return [augment.apply_colour(frame, transform) for frame in frames]
