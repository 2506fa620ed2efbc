"""The verbs that work on a project: export what it holds, and replay how its labels were made."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smtc_app.cli_context import CommandContext
from smtc_app.core.command import counted
from smtc_app.core.document import Document
from smtc_app.core.errors import UserError
from smtc_app.core.export import ExportRequest, ExportResult, out_of_date
from smtc_app.core.replay import runs_from_json
from smtc_app.core.settings import CacheChoice
from smtc_app.io.source import FrameSource
from smtc_app.verbs import Say, told

if TYPE_CHECKING:
    from smtc_app.io.project import ProjectInfo


@dataclass(frozen=True)
class ExportChoice:
    """What the command line says about an export; see `core.export.ExportRequest`.

    frames    first and one past the last frame, either None: the video's
    objects   ids or names; none: all
    """

    format: str = "davis"
    frames: tuple[int | None, int | None] = (None, None)
    step: int = 1
    objects: tuple[str, ...] = ()
    images: bool = False
    fps: float | None = None
    opacity: float = 0.5
    bits: int = 8
    overwrite: bool = False

    def request(self, out: Path, document: Document) -> ExportRequest:
        """The request for a document. Raises UserError for objects that it does not have."""
        first, stop = self.frames
        return ExportRequest(
            out,
            0 if first is None else first,
            document.frame_count if stop is None else stop,
            _object_ids(self.objects, document),
            self.overwrite,
            self.format,
            self.step,
            self.images,
            self.fps,
            self.opacity,
            self.bits,
        )


def export(
    project: Path,
    out: Path,
    *,
    choice: ExportChoice,
    context: CommandContext,
    say: Say,
    model: str | None = None,
    device: str | None = None,
) -> dict[str, Any]:
    """Export a project in any format, objects numbered from 1, and read everything back.

    Args:
        model, device: for what is computed anew (soft masks), instead of the project's.
    """
    info, source, document = _open_project(project, say)
    with source:
        settings = {"model": model, "device": device}
        request = choice.request(out, document)
        result = _export(info, source, document, request, settings, context)
        return _exported(result, request, document, say)


def run(
    project: Path,
    out: Path,
    *,
    choice: ExportChoice,
    context: CommandContext,
    say: Say,
    model: str | None = None,
    preset: str | None = None,
    device: str | None = None,
    cache: CacheChoice | None = None,
) -> dict[str, Any]:
    """Replay a project: propagate anew what was propagated, as it was done in the window, and export.

    Labels that a person stands behind, locked frames and locked objects stay as they are. The same project,
    model and machine give the same bytes. Where nothing was propagated yet, all objects are, over the whole
    video.

    Args:
        model, preset, device: instead of the project's.
        cache: where features are kept between runs; None: nowhere.
    """
    from smtc_app.jobs.replay import replay

    info, source, document = _open_project(project, say)
    given = {"model": model, "preset": preset, "device": device}
    with source:
        request = choice.request(out, document)
        _refuse_early(request, source, document)
        started_s = time.monotonic()
        found = replay(
            context,
            source,
            document,
            runs_from_json(info.parameters.get("runs")),
            settings={**_project_settings(info), **_without_none(given), "cache": cache},
        )
        if found.summary is None:
            raise UserError(f"{project.name} has nothing to propagate: every frame was decided by a person.")
        _say_what_differs(info, found, say)
        result = _export(info, source, document, request, given, context)
        exported = _exported(result, request, document, say)
    reproduced = {"equal": found.equal, "different": found.different, "renewed": found.renewed}
    return {
        **exported,
        "reproduced": reproduced,
        **told(found.summary, out, result.frames, started_s, say),
    }


def _project_settings(info: ProjectInfo) -> dict[str, Any]:
    """What a project says about how to compute; the device is this machine's matter."""
    return {key: info.parameters.get(key) for key in ("model", "preset")}


def _without_none(settings: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if value is not None}


def _refuse_early(request: ExportRequest, source: FrameSource, document: Document) -> None:
    """Whatever is wrong with the output is told before anything is computed."""
    from smtc_app.io.davis import check_output

    existed = request.folder.exists()
    folder = check_output(request.folder, overwrite=request.overwrite, source=source)
    if not existed:
        folder.rmdir()
    if not document.objects:
        raise UserError("The project has no object: there is nothing to propagate or export.")


def _say_what_differs(info: ProjectInfo, found: Any, say: Say) -> None:
    made, now = info.model, found.summary.model
    if made is not None and made.get("hash") not in (None, now.hash):
        say(f"The project was made with the model {made.get('name')}, not {now.name}.")
    if found.different:
        say(
            f"{found.different} of {found.equal + found.different} propagated frames came out otherwise than "
            "they are in the project."
        )
    if found.renewed:
        say(f"{found.renewed} frames were out of date and have been computed from the present keyframes.")


def _open_project(project: Path, say: Say) -> tuple[ProjectInfo, FrameSource, Document]:
    from smtc_app.io.project import load_project
    from smtc_app.io.project_source import find_source

    info, document = load_project(project)
    for note in info.notes:
        say(note)
    found = find_source(info)
    if found.note:
        say(found.note)
    return info, found.source, document


def _object_ids(wanted: tuple[str, ...], document: Document) -> tuple[int, ...]:
    if not wanted:
        return tuple(document.objects)
    ids = []
    for text in wanted:
        named = document.object_named(text)
        if named is not None:
            ids.append(named.id)
        elif text.isdecimal() and int(text) in document.objects:
            ids.append(int(text))
        else:
            there = ", ".join(f"{info.id} ({info.name})" for info in document.objects.values())
            raise UserError(f"There is no object {text!r}; there are {there or 'none'}.")
    return tuple(dict.fromkeys(ids))


def _export(
    info: ProjectInfo,
    source: FrameSource,
    document: Document,
    request: ExportRequest,
    settings: dict[str, Any],
    context: CommandContext,
) -> ExportResult:
    from smtc_app.jobs.export_tasks import export_task

    return export_task(
        context,
        source,
        document.snapshot(),
        request,
        runs=runs_from_json(info.parameters.get("runs")),
        made_with={**info.parameters, "project": info.path.name, "model_used": info.model},
        settings={
            **{key: info.parameters.get(key) for key in ("model", "preset")},
            **_without_none(settings),
        },
    )


def _exported(result: ExportResult, request: ExportRequest, document: Document, say: Say) -> dict[str, Any]:
    frames = request.frames
    empty = len(frames) - len(set(frames).intersection(document.labelled_frames))
    if empty:
        have, their = ("has", "its mask is") if empty == 1 else ("have", "their masks are")
        say(f"{empty} of {counted(len(frames), 'frame')} {have} no labels: {their} all background.")
    old = out_of_date(request, {i: document.stale_spans(i) for i in document.stale_objects()})
    if old:
        are = "frame is" if old == 1 else "frames are"
        say(f"{old} {are} out of date since a correction; `smtc-app run` computes them again.")
    if result.left_out:
        say(f"Not on any of these frames, and left out: {', '.join(result.left_out)}.")
    return {
        "output": str(result.folder),
        "format": result.format,
        "frames": result.frames,
        "objects": {str(info.id): info.name for info in result.objects},
        "left_out": list(result.left_out),
        "checked": result.checked,
    }
