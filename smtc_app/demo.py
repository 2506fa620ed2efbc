"""The demo clip, and the whole job on it without a window.

Propose on frame 0, take the exact first mask as the correction, propagate, export DAVIS masks and an overlay
video, and score the result against the exact masks that come with the clip.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from smtc_app import verbs
from smtc_app.assets import assets_folder
from smtc_app.cli_context import CommandContext
from smtc_app.core.errors import UserError
from smtc_app.io.masks import read_mask
from smtc_app.io.overlay_video import OverlayVideo
from smtc_app.io.source import FrameSource, open_source

MASKS, PROPOSALS, OVERLAY = "masks", "proposals", "overlay.mp4"


def demo_clip() -> Path:
    """The clip that comes with the application."""
    return assets_folder() / "demo" / "clip.mp4"


def demo_mask(source: FrameSource, index: int) -> np.ndarray:
    """The exact labels (H,W) of a frame of the clip."""
    labels, _ = read_mask(demo_mask_path(source, index), source.size)
    return labels


def demo_mask_path(source: FrameSource, index: int) -> Path:
    """The PNG of `demo_mask`."""
    return demo_clip().with_name("masks") / f"{source.name(index)}.png"


def run_demo(
    out: Path, *, choice: verbs.ModelChoice, context: CommandContext, say: verbs.Say, overwrite: bool = False
) -> tuple[dict[str, Any], str]:
    """Do the whole job into the folder `out`; returns the summary and what to print.

    An earlier demo in `out` is replaced; anything else there needs `overwrite`.

    Raises:
        UserError: `out` cannot be used, or the model cannot be loaded.
    """
    from smtc_app.jobs.scores import score_sequence

    _check_folder(out, overwrite)
    with open_source(demo_clip()) as source:
        proposed = verbs.propose(
            source, out / PROPOSALS, [0], choice=choice, context=context, say=say, overwrite=True
        )
        say(f"proposed {len(proposed['proposals'])} objects on frame 0: {out / PROPOSALS}")
        say("corrected frame 0 with the exact mask")
        masks = out / MASKS
        propagated = verbs.propagate(
            source,
            masks,
            {0: demo_mask_path(source, 0)},
            choice=choice,
            context=context,
            say=say,
            overwrite=True,
        )
        say(f"propagated {len(propagated['objects'])} objects over {len(source)} frames: {masks}")

        def predicted(index: int) -> np.ndarray:
            return read_mask(masks / f"{source.name(index)}.png", source.size)[0]

        _write_overlay(out / OVERLAY, source, predicted, context)
        say(f"drew the masks over the video: {out / OVERLAY}")
        score = score_sequence(lambda i: demo_mask(source, i), predicted, range(len(source)))
    summary = {
        **propagated,
        "output": str(out),
        "masks": str(masks),
        "overlay": str(out / OVERLAY),
        "proposals": proposed["proposals"],
        "J": round(score.jaccard, 4),
        "F": round(score.boundary_f, 4),
        "J&F": round(score.j_and_f, 4),
    }
    text = (
        f"J&F {score.j_and_f:.3f} (J {score.jaccard:.3f}, F {score.boundary_f:.3f}) against the exact masks, "
        f"{propagated['model']['name']} on {propagated['device']}, "
        f"{propagated['frames_per_second']:.1f} frames/s"
    )
    return summary, text


def _check_folder(out: Path, overwrite: bool) -> None:
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; choose a folder for the output.")
    try:
        others = sorted({f.name for f in out.iterdir()} - {MASKS, PROPOSALS, OVERLAY}) if out.exists() else []
    except OSError as error:
        raise UserError(f"{out} cannot be read: {error.strerror or error}.") from error
    if others and not overwrite:
        raise UserError(
            f"{out} already holds {others[0]}; choose another folder (-o) or allow overwriting (--overwrite)."
        )


def _write_overlay(path: Path, source: FrameSource, predicted: Any, context: CommandContext) -> None:
    with OverlayVideo(path, source.size, fps=source.fps) as video:
        for index, frame in enumerate(source):
            video.write(frame, predicted(index), source.timestamp(index))
            context.progress(index + 1, len(source), "overlay video")
