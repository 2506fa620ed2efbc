"""The training loop and what all objectives share.

An objective (`DenseObjective`, `SlotObjective`) knows its networks, batches and losses; this module knows
steps, rates, precision and processes. To add one, give it the attributes of `Objective` and enter it in
`train.py`.

Several processes (torchrun) work on different clips; gradients are averaged and buffers taken from process 0,
as DistributedDataParallel does, but without its wrapper, which dislikes parameters that come and go with the
freezing of the backbone.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
import torch.distributed
from torch import Tensor, nn

from .batches import BatchesAhead
from .data import ClipCache
from .errors import ModelError
from .smtc import SMTC
from .train_checkpoint import step_seed
from .train_config import TrainConfig, learning_rate, teacher_momentum

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that share a rate and a weight decay."""

    name: str
    parameters: list[nn.Parameter]
    weight_decay: float


class Objective(Protocol):
    """What `Trainer` needs of an objective."""

    name: str
    student: nn.Module

    def to(self, device: torch.device) -> None: ...
    def parameter_groups(self, weight_decay: float) -> list[ParameterGroup]: ...
    def rate_scale(self, group: str, step: int) -> float: ...
    def make_batch(self, cache: ClipCache, clips: int, rng: np.random.Generator) -> Any: ...
    def losses(self, batch: Any, generator: torch.Generator) -> dict[str, Tensor]: ...
    def update_teacher(self, momentum: float, step: int) -> None: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...
    def result(self) -> SMTC: ...
    def pictures(self, batch: Any) -> dict[str, Tensor]: ...


@dataclass(frozen=True)
class Processes:
    """This process among all that train together."""

    rank: int = 0
    count: int = 1


class Trainer:
    """One objective on its way: `step` advances it, `state_dict` holds everything to go on from.

    workers: threads that make batches ahead; 0: none, each step makes its own. They change no number.
    """

    def __init__(
        self,
        objective: Objective,
        cache: ClipCache,
        config: TrainConfig,
        *,
        device: torch.device,
        processes: Processes | None = None,
        workers: int = 0,
    ) -> None:
        self.objective = objective
        self.config = config
        self.step_number = 0
        self._cache = cache
        self._device = device
        self._processes = processes or Processes()
        objective.to(device)
        self._groups = objective.parameter_groups(config.weight_decay)
        self._optimiser = torch.optim.AdamW(
            [{"params": group.parameters, "weight_decay": group.weight_decay} for group in self._groups],
            lr=config.lr,
        )
        self._dtype = amp_dtype(config.amp, device)
        self._scaler = torch.amp.GradScaler(device.type, enabled=self._dtype is torch.float16)
        self._batches = BatchesAhead(self._made, parts=config.accumulate, workers=workers)

    def batch(self, step: int, part: int = 0) -> Any:
        """The batch of a step, on the device; a function of the seed, the step, the part and the process."""
        return self._moved(self._made(step, part))

    def _made(self, step: int, part: int) -> Any:
        """A batch in the host's memory; any thread may ask."""
        rng = np.random.default_rng(step_seed(self.config.seed, step, part, self._processes.rank))
        clips = self.config.clips // self.config.accumulate
        batch = self.objective.make_batch(self._cache, clips, rng)
        if self._device.type != "cuda":
            return batch
        return type(batch)(*(tensor.pin_memory() for tensor in batch))

    def _moved(self, batch: Any) -> Any:
        return type(batch)(*(tensor.to(self._device, non_blocking=True) for tensor in batch))

    def step(self) -> dict[str, float]:
        """One optimiser step; returns the mean losses, the gradient's norm and the rate.

        Raises ModelError if the loss is no longer finite.
        """
        config, step = self.config, self.step_number
        rate = learning_rate(config, step)
        for group, target in zip(self._groups, self._optimiser.param_groups, strict=True):
            scale = self.objective.rate_scale(group.name, step)
            target["lr"] = rate * scale
            for parameter in group.parameters:  # what does not move needs no gradient, nor the way to it
                parameter.requires_grad_(scale > 0)
        sums: dict[str, float] = {}
        self._optimiser.zero_grad(set_to_none=True)
        for part in range(config.accumulate):
            seed = step_seed(config.seed, step, part, self._processes.rank)
            torch.manual_seed(seed)  # dropout and the like, so that resuming repeats them
            generator = torch.Generator().manual_seed(seed)
            batch = self._moved(self._batches.take(step, part))
            with torch.autocast(self._device.type, self._dtype, enabled=self._dtype is not None):
                losses = self.objective.losses(batch, generator)
            self._scaler.scale(losses["total"] / config.accumulate).backward()
            values = torch.stack([value.detach().float() for value in losses.values()]).tolist()
            for name, value in zip(losses, values, strict=True):  # the device was waited for once
                sums[name] = sums.get(name, 0.0) + value / config.accumulate
        if not math.isfinite(sums["total"]):
            raise ModelError(
                f"Training diverged at step {step}: the loss is {sums['total']}. "
                "Go on from the last checkpoint (--resume) with a lower --lr or --amp off, or start anew so."
            )
        parameters = [p for group in self._groups for p in group.parameters if p.grad is not None]
        # Before they are unscaled: whether a step is left out must not differ between processes.
        self._average_gradients(parameters)
        self._scaler.unscale_(self._optimiser)
        norm = nn.utils.clip_grad_norm_(parameters, config.clip_gradient)
        self._scaler.step(self._optimiser)
        self._scaler.update()
        self._share_buffers()
        self.objective.update_teacher(teacher_momentum(config, step), step)
        self.step_number += 1
        return {**sums, "gradient_norm": float(norm), "lr": rate}

    def agreed(self, wish: bool) -> bool:
        """Whether any process wishes so; all have to ask, or those that do wait for ever."""
        if self._processes.count == 1:
            return wish
        votes = torch.tensor(float(wish), device=self._device)
        torch.distributed.all_reduce(votes)
        return bool(votes > 0)

    def close(self) -> None:
        """End the threads."""
        self._batches.close()

    def state_dict(self) -> dict[str, Any]:
        return {
            "step": self.step_number,
            "networks": self.objective.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "scaler": self._scaler.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state`. Raises ModelError if it belongs to other networks."""
        try:
            self.objective.load_state_dict(state["networks"])
            self._optimiser.load_state_dict(state["optimiser"])
            self._scaler.load_state_dict(state["scaler"])
            self.step_number = int(state["step"])
        except (KeyError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise ModelError(f"The checkpoint does not fit this backbone and objective: {reason}") from error
        for group, target in zip(self._groups, self._optimiser.param_groups, strict=True):
            target["weight_decay"] = group.weight_decay

    def _average_gradients(self, parameters: list[nn.Parameter]) -> None:
        if self._processes.count == 1 or not parameters:
            return
        flat = torch.cat([p.grad.flatten() for p in parameters])
        torch.distributed.all_reduce(flat)
        flat /= self._processes.count
        for parameter, piece in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
            parameter.grad.copy_(piece.view_as(parameter))

    def _share_buffers(self) -> None:
        if self._processes.count == 1:
            return
        for buffer in self.objective.student.buffers():
            torch.distributed.broadcast(buffer, src=0)


def amp_dtype(mode: str, device: torch.device) -> torch.dtype | None:
    """The lower precision of `mode`; "auto" is bfloat16 on GPUs that have it, else float16, none on CPUs."""
    if mode == "off" or (mode == "auto" and device.type != "cuda"):
        return None
    if mode == "auto":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if mode == "fp16" and device.type == "cpu":
        raise ModelError("--amp fp16 needs a GPU; use bf16 or off on the CPU.")
    return torch.bfloat16 if mode == "bf16" else torch.float16


def split_by_decay(
    named: Iterable[tuple[str, nn.Parameter]], weight_decay: float, *, name: str = "all"
) -> list[ParameterGroup]:
    """Weight decay on matrices and kernels only; norms, biases and the like go free."""
    parameters = [parameter for _, parameter in named if parameter.requires_grad]
    return [
        ParameterGroup(name, [p for p in parameters if p.ndim > 1], weight_decay),
        ParameterGroup(name, [p for p in parameters if p.ndim <= 1], 0.0),
    ]


@torch.no_grad()
def average_into(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """teacher <- momentum teacher + (1 - momentum) student, over parameters; buffers stay the teacher's."""
    for old, new in zip(teacher.parameters(), student.parameters(), strict=True):
        old.lerp_(new.to(old), 1 - momentum)


def draw_clips(cache: ClipCache, clips: int, rng: np.random.Generator) -> list[int]:
    """Numbers of random clips, none twice while there are enough."""
    return [int(n) for n in rng.choice(len(cache), size=clips, replace=len(cache) < clips)]


def run_steps(
    trainer: Trainer,
    *,
    until: int,
    on_step: Callable[[int, dict[str, float]], None],
    stop: Callable[[], bool] = lambda: False,
) -> None:
    """Advance to step number `until`, telling `on_step(step, values)` after each one.

    stop: asked between steps; ends early when it says True in any process.
    """
    while trainer.step_number < until and not trainer.agreed(stop()):
        values = trainer.step()
        on_step(trainer.step_number, values)
