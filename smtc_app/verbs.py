"""The headless verbs on footage, propose and propagate, on the same tasks and files as the window.

Each takes plain arguments, writes its output folder and returns a summary of JSON values. What is wrong with
the input is found before anything is computed. To add a verb, write it here and give it a parser in `cli`.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smtc_app.cli_context import CommandContext
from smtc_app.core.document import ProposalMask
from smtc_app.core.errors import UserError
from smtc_app.core.settings import CacheChoice
from smtc_app.io.davis import (
    MAX_EXPORT_ID,
    DavisWriter,
    prepare_output,
    write_atomically,
)
from smtc_app.io.masks import object_ids, read_mask
from smtc_app.io.recent_frames import RecentFrames
from smtc_app.io.source import FrameSource
from smtc_app.jobs.context import STATE_EVERY_S, StateChoice
from smtc_app.propagation_output import STATE_NAME, PropagationOutput

if TYPE_CHECKING:
    pass

logger = logging.getLogger(__name__)

Say = Callable[[str], None]
PROPOSALS_JSON = "proposals.json"
ADAPTED_NAME = "adapted.safetensors"


@dataclass(frozen=True)
class ModelChoice:
    """Which model computes, and where: a name or file (None: the best there is), a device, a preset."""

    model: str | None = None
    device: str = "auto"
    preset: str = "default"


def propose(
    source: FrameSource,
    out: Path,
    frames: Sequence[int],
    *,
    choice: ModelChoice,
    context: CommandContext,
    say: Say,
    max_objects: int = 10,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Propose objects on some frames: an indexed PNG for each, and `proposals.json`.

    Where proposals overlap the one with the higher score is on top; area and box are those of the PNG.
    """
    from smtc_app.jobs.tasks import propose_task

    _check_frames(source, frames)
    started_s = time.monotonic()
    with output_folder(out, source, overwrite) as folder:
        proposals, summary = propose_task(
            context,
            source,
            list(frames),
            model=choice.model,
            device=choice.device,
            max_objects=max_objects,
        )
        writer = DavisWriter(folder, source)
        rows: list[dict[str, Any]] = []
        ids = _proposal_ids(proposals)
        for frame in frames:
            labels, found = _paint(proposals.get(frame, []), ids, source.size)
            writer.write(frame, labels)
            rows += found
        writer.finish()
        lines = ",\n ".join(json.dumps(row) for row in rows)
        write_atomically(folder / PROPOSALS_JSON, f"[{lines}]\n".encode())
    if not rows:
        say("No object was found; try other frames, or more with --max-objects.")
    return {"proposals": rows, **told(summary, out, len(frames), started_s, say)}


def _check_frames(source: FrameSource, frames: Sequence[int]) -> None:
    for frame in frames:
        if not 0 <= frame < len(source):
            raise UserError(
                f"There is no frame {frame}: {source.path.name} has frames 0 to {len(source) - 1}."
            )


def _proposal_ids(proposals: Mapping[int, Sequence[ProposalMask]]) -> dict[tuple[int, int], int]:
    """(frame, proposal id) -> exported id from 1; what is linked over frames has the same one."""
    ids: dict[tuple[int, int], int] = {}
    of_track: dict[int, int] = {}
    count = 0
    for frame in sorted(proposals):
        for proposal in sorted(proposals[frame], key=lambda p: -p.score):
            known = None if proposal.track is None else of_track.get(proposal.track)
            if known is None:
                count += 1
                known = count
                if proposal.track is not None:
                    of_track[proposal.track] = known
            ids[frame, proposal.id] = known
    return ids


def _paint(
    proposals: Sequence[ProposalMask], ids: Mapping[tuple[int, int], int], size: tuple[int, int]
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    labels = np.zeros((size[1], size[0]), np.uint16)
    for proposal in sorted(proposals, key=lambda p: p.score):
        labels[proposal.mask] = ids[proposal.frame, proposal.id]
    rows = []
    for proposal in sorted(proposals, key=lambda p: -p.score):
        number = ids[proposal.frame, proposal.id]
        y, x = np.nonzero(labels == number)
        if not len(y):
            continue  # wholly under better ones
        box = [int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1]
        score = round(float(proposal.score), 6)
        rows.append({"frame": proposal.frame, "id": number, "score": score, "area": len(y), "box": box})
    return labels, rows


def propagate(
    source: FrameSource,
    out: Path,
    masks: Mapping[int, Path],
    *,
    choice: ModelChoice,
    context: CommandContext,
    say: Say,
    direction: str = "both",
    overwrite: bool = False,
    cache: CacheChoice | None = None,
    report: Path | None = None,
    resume: bool = False,
    adapt: bool = False,
    state_every_s: float = STATE_EVERY_S,
) -> dict[str, Any]:
    """Propagate given masks over the video: an indexed PNG per frame that is reached.

    The ids of the masks stay. What was computed before a Ctrl-C or an error is kept, and said.

    Args:
        masks: frame index -> mask image.
        cache: where features are kept between runs; None: nowhere.
        report: JSON file to write, see `io.propagation_report`; None: none.
        resume: go on with the run that ended early in this folder, if there is one.
        adapt: adapt the model to the video first, and take the adapted one if it is better; it is kept in
            the folder as `adapted.safetensors`.
        state_every_s: how often what `resume` needs is saved.
    """
    from smtc_app.jobs.adapt_tasks import adapt_task
    from smtc_app.jobs.tasks import propagate_task

    keyframes = read_keyframes(source, masks, say)
    source = RecentFrames(source)  # what is written was read ahead shortly before
    started_s = time.monotonic()
    state = out.expanduser() / STATE_NAME
    going_on = resume and state.exists()
    if resume and not going_on:
        if not overwrite:
            _refuse_masks_without_state(out)
        say("There is no earlier run to go on with; this one starts from the beginning.")
    with _resumed(out) if going_on else output_folder(out, source, overwrite) as folder:
        if not going_on:
            state.unlink(missing_ok=True)
        adapted = folder / ADAPTED_NAME
        if adapt and not (going_on and adapted.exists()):
            adapted.unlink(missing_ok=True)
            say(adapt_task(context, source, keyframes, adapted, **asdict(choice)).message)
        if adapt and adapted.exists():
            choice = replace(choice, model=str(adapted))
        output = PropagationOutput(folder, source, keyframes, report=report, resume=going_on)
        with output.kept(say):
            context.on_partial = output.add
            summary = propagate_task(
                context,
                source,
                keyframes,
                direction=direction,
                model=choice.model,
                preset=choice.preset,
                device=choice.device,
                cache=cache,
                check=report is not None,
                state=StateChoice(state, state_every_s),
            )
        state.unlink(missing_ok=True)
        output.finish_report(
            model=summary.model,
            device=summary.model.device,
            settings={"direction": direction, "preset": choice.preset},
        )
    left_out = len(source) - output.writer.count
    if left_out:
        say(f"{left_out} frames were not reached going {direction} and have no mask.")
    return {
        "objects": sorted({i for labels in keyframes.values() for i in object_ids(labels)}),
        "keyframes": sorted(keyframes),
        "confidence": output.confidence,
        **told(summary, out, output.writer.count, started_s, say),
    }


def _refuse_masks_without_state(out: Path) -> None:
    if any(out.expanduser().glob("*.png")):
        raise UserError(
            f"{out} holds masks, but nothing to go on from: the run that left them is complete, or ended "
            "before its state was first saved; start anew with --overwrite, or choose another folder."
        )


@contextmanager
def _resumed(out: Path) -> Iterator[Path]:
    yield out.expanduser()


def read_keyframes(source: FrameSource, masks: Mapping[int, Path], say: Say) -> dict[int, np.ndarray]:
    """The masks as label maps by frame; what had to be assumed or repaired is said.

    Raises:
        UserError: no such frame, an unfit mask, ids above 254, no object in any of them.
    """
    _check_frames(source, sorted(masks))
    keyframes = {}
    colours: dict[tuple[int, int, int], int] = {}
    for frame, path in sorted(masks.items()):
        labels, notes = read_mask(path, source.size, colours=colours, max_id=MAX_EXPORT_ID)
        for note in notes:
            say(note)
        keyframes[frame] = labels
    if not any(labels.any() for labels in keyframes.values()):
        names = ", ".join(path.name for path in masks.values())
        raise UserError(f"There is no object in {names}: every pixel is background.")
    return keyframes


@contextmanager
def output_folder(out: Path, source: FrameSource, overwrite: bool) -> Iterator[Path]:
    """The prepared output folder, taken away again when it was made here and nothing came into it."""
    existed = out.exists()
    folder = prepare_output(out, overwrite=overwrite, source=source)
    try:
        yield folder
    except BaseException:
        if not existed and not any(folder.iterdir()):
            folder.rmdir()
        raise


def told(summary: Any, out: Path, frames: int, started_s: float, say: Say) -> dict[str, Any]:
    """The part of the result that all verbs share, from the task's `RunSummary`."""
    if summary.message:
        say(summary.message)
    seconds = time.monotonic() - started_s
    model = summary.model
    return {
        "output": str(out),
        "frames": frames,
        "seconds": round(seconds, 3),
        "frames_per_second": round(frames / seconds, 3) if seconds > 0 else None,
        "model": {"name": model.name, "hash": model.hash, "trained": model.trained},
        "device": model.device,
    }
