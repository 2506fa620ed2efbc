"""One export from beginning to end: choose, write aside, read back, put in place."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from typing import Any

from smtc_app.core.document import DocumentState
from smtc_app.core.errors import UserError
from smtc_app.core.export import ExportRequest, ExportResult
from smtc_app.core.files import why
from smtc_app.io.davis import FRAMES_CSV, frames_csv
from smtc_app.io.export.coco import CocoWriter
from smtc_app.io.export.davis import DavisExport
from smtc_app.io.export.folder import staged_output, write_manifest
from smtc_app.io.export.frame_images import FrameImages
from smtc_app.io.export.job import ExportJob, Progress, SoftMaps, Writer, choose_objects
from smtc_app.io.export.object_masks import BinaryWriter, SoftWriter
from smtc_app.io.export.overlay import OverlayWriter
from smtc_app.io.export.provenance import PROVENANCE, write_provenance
from smtc_app.io.export.table import TableWriter
from smtc_app.io.export.youtube_vis import YoutubeVisWriter
from smtc_app.io.export.youtube_vos import YoutubeVosWriter
from smtc_app.io.source import FrameSource

logger = logging.getLogger(__name__)

WRITERS: dict[str, Callable[[ExportJob], Writer]] = {
    "davis": DavisExport,
    "youtube-vos": YoutubeVosWriter,
    "youtube-vis": YoutubeVisWriter,
    "coco": CocoWriter,
    "binary": BinaryWriter,
    "soft": SoftWriter,
    "overlay": OverlayWriter,
    "csv": TableWriter,
}


def run_export(
    request: ExportRequest,
    source: FrameSource,
    state: DocumentState,
    *,
    settings: Mapping[str, Any] | None = None,
    soft_maps: SoftMaps | None = None,
    progress: Progress | None = None,
) -> ExportResult:
    """Export a document, with `frames.csv` and `provenance.json` beside it, and read all of it back.

    source    read by this function alone while it runs
    settings  how the masks were made, for the provenance
    soft_maps computes the probabilities; needed by the soft format only
    progress  called with (done, total, what is going on); may raise to cancel

    Whatever goes wrong, nothing is left in the folder that was not there before.

    Raises UserError for a folder that cannot be used, objects that do not fit the format, and files that do
    not read back as they were written.
    """
    tell = progress or (lambda done, total, message: None)
    objects, left_out = choose_objects(request, state)
    if not objects:
        raise UserError(
            "There is nothing to export: none of the chosen objects is on any of the chosen frames."
        )
    with staged_output(request.folder, overwrite=request.overwrite, source=source) as staging:
        job = ExportJob(request, source, state, staging, objects, left_out, settings or {}, soft_maps)
        writer = None
        try:
            writer = WRITERS[request.format](job)
            checked = _write(job, writer, tell)
        except OSError as error:
            raise UserError(f"The export to {request.folder} cannot be written: {why(error)}.") from error
        finally:
            if writer is not None:
                writer.close()
    logger.info("exported %d frames as %s to %s", len(job.frames), request.format, request.folder)
    return ExportResult(request.folder, request.format, len(job.frames), objects, left_out, checked)


def _write(job: ExportJob, writer: Writer, tell: Progress) -> str:
    frames, total = job.frames, 2 * len(job.frames)
    images = FrameImages(job) if job.request.images and job.format.images else None
    hashes: dict[int, str] = {}
    for done, index in enumerate(frames, start=1):
        frame = job.source[index]
        hashes[index] = hashlib.sha256(frame).hexdigest()
        writer.write(index, frame, job.labels(index))
        if images is not None:
            images.write(index, frame)
        tell(done, total, "writing")
    writer.finish()
    (job.out / FRAMES_CSV).write_bytes(frames_csv(job.source, hashes))
    write_provenance(job)
    checked = writer.check(lambda done: tell(len(frames) + done, total, "reading back"))
    frame_folders = {
        str(path.parent.relative_to(job.out).as_posix())
        for path in job.out.rglob("*")
        if path.suffix in (".png", ".jpg")
    }
    files = [
        path.relative_to(job.out).as_posix()
        for path in job.out.rglob("*")
        if path.is_file() and path.suffix not in (".png", ".jpg") and path.name not in (FRAMES_CSV,)
    ]
    assert PROVENANCE in files
    write_manifest(job.out, files, frame_folders)
    return checked
