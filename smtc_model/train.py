"""`smtc-model train`: self-supervised training on a folder of videos or of frame folders.

Three objectives: `dense` trains a backbone from scratch so that its features match over time, `smtc` the slot
head with the paper's losses on top of any backbone (frozen, or following slowly), `foreground` a network
that tells things from background. Every run keeps in its output folder `checkpoint.pt` (everything
to go on from), `model.safetensors` (what the other commands take), `log.jsonl` and TensorBoard's events.
Several GPUs: `torchrun --nproc-per-node 4 -m smtc_model train ...`.

To add an objective: a configuration in `train_config.py`, a class with the attributes of
`training.Objective`, and an entry in `_objective` and `_SPECIFIC`.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import hashlib
import inspect
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ModelError
from .train_config import DenseConfig, ForegroundConfig, SlotConfig, TrainConfig, from_dict

if TYPE_CHECKING:
    import torch

    from .data import ClipCache
    from .smtc import SMTC
    from .training import Objective, Processes, Trainer

logger = logging.getLogger(__name__)

_Specific = DenseConfig | SlotConfig | ForegroundConfig
MODEL_FILE = "model.safetensors"
LOG_FILE = "log.jsonl"
EVENTS_FOLDER = "events"
_SPECIFIC = {"dense": DenseConfig, "smtc": SlotConfig, "foreground": ForegroundConfig}
# What differs from the defaults of TrainConfig; the paper's "efficient" schedule, one of its four GPUs.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "dense": {},
    "smtc": {
        "steps": 8000,
        "clips": 32,
        "lr": 2e-5,
        "weight_decay": 0.1,
        "schedule": "cosine",
        "final_lr_share": 0.1,
        "ema": 0.999,
    },
    "foreground": {
        "steps": 2000,
        "clips": 12,
        "lr": 1e-3,
        "weight_decay": 0.02,
        "schedule": "cosine",
        "warmup": 100,
        "ema": 0.998,
    },
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `smtc-model train`; those of the configurations have no defaults here, so that `run` can
    tell what was asked for from what a resumed run already has."""
    parser.add_argument("root", type=Path, metavar="ROOT", help="folder of videos or of folders of frames")
    parser.add_argument(
        "--objective", choices=sorted(_SPECIFIC), default="dense", help="(default: %(default)s)"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the results")
    parser.add_argument("--resume", action="store_true", help="go on from DIR's checkpoint")
    parser.add_argument("--overwrite", action="store_true", help="start anew where DIR holds another run")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="folder for decoded clips")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 (default: %(default)s)")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: PyTorch's choice)")
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="threads that make batches ahead (default: as many as there are CPUs but one, 8 at most, where "
        "the device is a GPU, else 0)",
    )
    parser.add_argument(
        "--stop-at", type=int, metavar="STEP", help="end early, with the schedule of all steps"
    )
    parser.add_argument("--save-minutes", type=float, default=5.0, help="between checkpoints (default: 5)")
    parser.add_argument("--log-every", type=int, default=20, metavar="STEPS", help="(default: %(default)s)")
    seen = set()
    for title, kind in (
        ("training", TrainConfig),
        ("objective dense", DenseConfig),
        ("objective smtc", SlotConfig),
        ("objective foreground", ForegroundConfig),
    ):
        group = parser.add_argument_group(title, inspect.cleandoc(kind.__doc__))
        for field in dataclasses.fields(kind):
            if field.name not in seen:
                seen.add(field.name)
                _add_field(group, field)


def _add_field(group: argparse._ArgumentGroup, field: dataclasses.Field) -> None:
    default = field.default
    options: dict[str, Any] = {"dest": field.name, "default": None}
    if isinstance(default, tuple):
        options |= {"nargs": len(default), "type": type(default[0]), "metavar": ("LOW", "HIGH")}
    else:
        options |= {"type": type(default), "metavar": type(default).__name__.upper()}
    shown = f"(default: {_default_text(field.name, default)})"
    group.add_argument(f"--{field.name.replace('_', '-')}", help=shown, **options)


def _default_text(name: str, default: Any) -> str:
    """A default, and those of the objectives where it is another: "256; foreground: 192"."""

    def text(value: Any) -> str:
        return " ".join(str(part) for part in value) if isinstance(value, tuple) else str(value)

    others = []
    for objective, kind in _SPECIFIC.items():
        own = {field.name: field.default for field in dataclasses.fields(kind)} | _DEFAULTS[objective]
        if own.get(name, default) != default:
            others.append(f"; {objective}: {text(own[name])}")
    return text(default) + "".join(others)


def run(args: argparse.Namespace) -> int:
    """Train as asked; returns 0. Raises ModelError for anything that a person can mend."""
    import torch

    if args.threads is not None:
        if args.threads < 1:
            raise ModelError(f"--threads must be at least 1, got {args.threads}")
        torch.set_num_threads(args.threads)
    if args.workers is not None and args.workers < 0:
        raise ModelError(f"--workers must not be negative, got {args.workers}")
    stored = _check_output(args)
    objective_name = stored["objective"] if stored else args.objective
    try:
        config = _configured(TrainConfig, args, stored and stored["config"], _DEFAULTS[objective_name])
        specific = _configured(_SPECIFIC[objective_name], args, stored and stored["specific"], {})
    except ValueError as error:
        raise ModelError(str(error)) from error
    processes, device = _processes(args.device)
    try:
        cache = _open_cache(args, config, processes)
        torch.manual_seed(config.seed)
        objective = _objective(objective_name, config, specific)
        _train(args, objective, cache, config, specific, stored, device, processes)
    finally:
        if processes.count > 1:
            torch.distributed.destroy_process_group()
    return 0


def _train(
    args: argparse.Namespace,
    objective: Objective,
    cache: ClipCache,
    config: TrainConfig,
    specific: _Specific,
    stored: dict[str, Any] | None,
    device: torch.device,
    processes: Processes,
) -> None:
    from .training import Trainer, run_steps

    workers = _default_workers(device, processes) if args.workers is None else args.workers
    trainer = Trainer(objective, cache, config, device=device, processes=processes, workers=workers)
    if stored is not None:
        trainer.load_state_dict(stored)
    head = processes.rank == 0
    record = (
        _Record(args.output, trainer, config, specific, cache, log_every=args.log_every) if head else None
    )
    until = min(config.steps, args.stop_at or config.steps)
    last_save = time.monotonic()

    def on_step(step: int, values: dict[str, float]) -> None:
        nonlocal last_save
        if record is None:
            return
        record.add(step, values)
        if time.monotonic() - last_save > 60 * args.save_minutes:
            record.save()
            last_save = time.monotonic()

    try:
        with _stop_between_steps() as stop_asked:
            run_steps(trainer, until=until, on_step=on_step, stop=stop_asked)
            # Not after an error: what a broken step leaves is no state to go on from, the last checkpoint is.
            if record is not None:
                record.save()
                record.tell()
        if stop_asked():
            raise KeyboardInterrupt
    finally:
        trainer.close()
        if record is not None:
            record.close()


def _default_workers(device: torch.device, processes: Processes) -> int:
    """A GPU would wait for batches; on the CPU steps and batches share the same cores."""
    if device.type == "cpu":
        return 0
    return max(1, min(8, (os.cpu_count() or 2) // processes.count - 1))


@contextlib.contextmanager
def _stop_between_steps() -> Iterator[Callable[[], bool]]:
    """Gives what tells whether SIGTERM or SIGINT has come; the second one ends the run at once.

    A run that ends within a step cannot be gone on with as if it had not stopped. Explicitly for SIGINT too:
    shells start background jobs with it ignored.
    """
    asked = threading.Event()

    def stop(signal_number: int, frame: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    old = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


class _Record:
    """What a run leaves behind: log, pictures, checkpoint, weights, and a progress bar for people."""

    def __init__(
        self,
        folder: Path,
        trainer: Trainer,
        config: TrainConfig,
        specific: _Specific,
        cache: ClipCache,
        *,
        log_every: int,
    ) -> None:
        from tqdm import tqdm

        self._folder = folder
        self._trainer = trainer
        self._configs = {"config": dataclasses.asdict(config), "specific": dataclasses.asdict(specific)}
        self._data = {"clips": len(cache), "frames": sum(clip.frames for clip in cache.clips)}
        self._log_every = max(1, log_every)
        self._sums: dict[str, float] = {}
        self._count = 0
        self._started = time.monotonic()
        _forget_later(folder / LOG_FILE, trainer.step_number)
        self._log = (folder / LOG_FILE).open("a", encoding="utf-8")
        self._events = _summary_writer(folder, purge_step=trainer.step_number + 1)
        self._bar = tqdm(total=config.steps, initial=trainer.step_number, unit="step", dynamic_ncols=True)

    def add(self, step: int, values: dict[str, float]) -> None:
        self._bar.update()
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1
        if step % self._log_every:
            return
        means = {name: value / self._count for name, value in self._sums.items()}
        means["seconds_per_step"] = (time.monotonic() - self._started) / self._count
        self._log.write(json.dumps({"step": step, **{k: round(v, 6) for k, v in means.items()}}) + "\n")
        self._log.flush()
        self._bar.set_postfix(loss=f"{means['total']:.3f}")
        if self._events is not None:
            for name, value in means.items():
                self._events.add_scalar(name, value, step)
        self._sums, self._count, self._started = {}, 0, time.monotonic()

    def save(self) -> None:
        """Checkpoint, weights and pictures of now."""
        from .train_checkpoint import save_checkpoint
        from .weights import save_model

        trainer = self._trainer
        objective = trainer.objective
        state = {**trainer.state_dict(), **self._configs, "objective": objective.name}
        save_checkpoint(self._folder, state)
        model = objective.result()
        provenance = {
            "objective": objective.name,
            "step": trainer.step_number,
            "data": self._data,
            **self._configs,
        }
        save_model(
            model,
            self._folder / MODEL_FILE,
            licence=model.backbone.licence,
            description=f"trained by `smtc-model train --objective {objective.name}`",
            provenance=provenance,
        )
        if self._events is not None:
            for name, picture in objective.pictures(trainer.batch(0)).items():
                self._events.add_image(name, picture, trainer.step_number)
            self._events.flush()

    def tell(self) -> None:
        """Say where the weights are, and what they are good for."""
        place = self._folder / MODEL_FILE
        done = f"{place} holds the weights after step {self._trainer.step_number}"
        self._bar.write(f"{done}; --model takes it, and --backbone of another training.", file=sys.stderr)

    def close(self) -> None:
        self._bar.close()
        self._log.close()
        if self._events is not None:
            self._events.close()


def _forget_later(log: Path, step: int) -> None:
    """Leave out the lines of a log that a run which goes on behind `step` will write again."""
    if not log.exists():
        return
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
    log.write_text("".join(kept), encoding="utf-8")


def _summary_writer(folder: Path, *, purge_step: int):
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        logger.warning(
            "TensorBoard is not installed, so there are no events, only log.jsonl (pip install tensorboard)"
        )
        return None
    return SummaryWriter(str(folder / EVENTS_FOLDER), purge_step=purge_step)


def _check_output(args: argparse.Namespace) -> dict[str, Any] | None:
    """Prepares the output folder; the stored checkpoint if it is to be resumed."""
    from .train_checkpoint import FILE_NAME, load_checkpoint

    output: Path = args.output
    if output.exists() and not output.is_dir():
        raise ModelError(f"{output} is a file; --output needs a folder.")
    if args.resume:
        return load_checkpoint(output)
    if (output / FILE_NAME).exists() and not args.overwrite:
        raise ModelError(
            f"{output} holds another run; pass --resume to go on with it or --overwrite to start anew."
        )
    try:
        output.mkdir(parents=True, exist_ok=True)
        for old in (output / FILE_NAME, output / LOG_FILE, *(output / EVENTS_FOLDER).glob("events.out.*")):
            old.unlink(missing_ok=True)
    except OSError as error:
        raise ModelError(f"{output} cannot be written: {error.strerror or error}") from error
    if not os.access(output, os.W_OK):
        raise ModelError(f"{output} cannot be written; choose another folder.")
    return None


def _configured(
    kind: type, args: argparse.Namespace, stored: dict[str, Any] | None, defaults: dict[str, Any]
):
    """Defaults, then what a resumed run had, then what the command line says."""
    values = dict(stored) if stored else dict(defaults)
    for field in dataclasses.fields(kind):
        given = getattr(args, field.name)
        if given is not None:
            values[field.name] = given
    return from_dict(kind, values)


def _objective(name: str, config: TrainConfig, specific: _Specific) -> Objective:
    model = _starting_model(config.backbone)
    if not any(True for _ in model.backbone.parameters()) and name == "dense":
        raise ModelError(f"Backbone {config.backbone!r} has nothing to train; choose another --backbone.")
    if name == "dense":
        from .dense_training import DenseObjective

        return DenseObjective(model, specific)
    if name == "foreground":
        from .foreground_training import ForegroundObjective

        return ForegroundObjective(model, specific)
    from .config import ModelConfig
    from .smtc import SMTC
    from .smtc_training import SlotObjective

    if not model.has_slots:
        slots = ModelConfig(num_semantics=specific.semantics, num_instances=specific.instances)
        if not model.backbone.trained:
            logger.warning("the backbone %r is not trained: slots on top of it learn little", config.backbone)
        foreground = model.foreground
        model = SMTC.with_new_head(model.backbone, slots, name=model.name)
        model.foreground = foreground
    return SlotObjective(model, specific)


def _starting_model(backbone: str) -> SMTC:
    from .weights import load_model

    return load_model(backbone, device="cpu")


def _open_cache(args: argparse.Namespace, config: TrainConfig, processes: Processes) -> ClipCache:
    import torch

    from .data import open_cache

    if processes.rank > 0:
        torch.distributed.barrier()  # process 0 decodes for all
    folder = args.cache or _default_cache(args.root)
    try:
        cache = open_cache(args.root, folder, short_side=config.short_side, progress=_report_decoding)
    except OSError as error:
        raise ModelError(f"The cache {folder} cannot be written: {error.strerror or error}") from error
    if processes.count > 1 and processes.rank == 0:
        torch.distributed.barrier()
    return cache


def _default_cache(root: Path) -> Path:
    import platformdirs

    key = hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]
    return Path(platformdirs.user_cache_path("smtc-app")) / "training" / key


def _report_decoding(done: int, total: int, name: str) -> None:
    logger.info("decoding %d/%d %s", done + 1, total, name)


def _processes(device_name: str):
    """This process among those that torchrun started, and its device."""
    import torch

    from .training import Processes
    from .weights import resolve_device

    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return Processes(), resolve_device(device_name)
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if device_name == "auto" and torch.cuda.is_available():
        device_name = f"cuda:{local % torch.cuda.device_count()}"
    device = resolve_device(device_name if device_name != "auto" else "cpu")
    backend = "nccl" if device.type == "cuda" else "gloo"
    if device.type == "cuda":
        torch.cuda.set_device(device)
    torch.distributed.init_process_group(backend, timeout=datetime.timedelta(hours=6))
    return Processes(torch.distributed.get_rank(), count), device


__all__ = ["MODEL_FILE", "add_arguments", "run"]
