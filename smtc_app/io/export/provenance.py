"""`provenance.json`: where every mask of an export came from, so that it can be judged and made again.

    application   name and version
    source        path, kind, fingerprint, frame count, size and frame rate of the footage
    export        format, frames, and what else was chosen
    made_with     model, its hash, settings and propagation runs, as far as they are known
    objects       id here, id in the project, name, category, colour
    masks         one line per object and frame that something is known of: status (manual, proposed,
                  propagated, corrected, stale), confidence 0..1 or null, the keyframes it came from

There is no time in it: the same work gives the same file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from smtc_app import __version__
from smtc_app.core.annotation import FrameStatus
from smtc_app.core.track import decode_confidence
from smtc_app.io.export.job import ExportJob
from smtc_app.io.project_schema import SourceInfo

PROVENANCE = "provenance.json"


def write_provenance(job: ExportJob) -> None:
    """Write the file into the job's folder."""
    head = {
        "format": "smtc-provenance",
        "version": 1,
        "application": {"name": "smtc-app", "version": __version__},
        "source": _source(job),
        "export": _export(job),
        "made_with": dict(job.settings),
        "objects": [
            {
                "id": info.id,
                "project_id": info.document_id,
                "name": info.name,
                "category": info.category,
                "colour": list(info.colour),
            }
            for info in job.objects
        ],
    }
    with (job.out / PROVENANCE).open("w", encoding="utf-8") as file:
        text = json.dumps(head, ensure_ascii=False, indent=1)
        file.write(text.removesuffix("\n}") + ',\n "masks": [')
        separator = "\n  "
        for row in _masks(job):
            file.write(separator + json.dumps(row))
            separator = ",\n  "
        file.write("\n ]\n}\n")


def _source(job: ExportJob) -> dict[str, Any]:
    info = SourceInfo.of(job.source)
    return {
        "name": info.path.name,
        "kind": info.kind,
        "fingerprint": info.fingerprint,
        "frame_count": info.frame_count,
        "size": list(info.size),
        "fps": info.fps,
    }


def _export(job: ExportJob) -> dict[str, Any]:
    request = job.request
    chosen: dict[str, Any] = {
        "format": request.format,
        "first": request.first,
        "last": job.frames[-1],
        "step": request.step,
        "not_seen": list(job.left_out),
    }
    if job.format.images:
        chosen["images"] = request.images
    if job.format.overlay:
        chosen |= {"fps": request.fps, "opacity": request.opacity}
    if job.format.soft:
        chosen["bits"] = request.bits
    return chosen


def _masks(job: ExportJob) -> Iterator[dict[str, Any]]:
    tracks = job.state.tracks
    for index in job.frames:
        for info in job.objects:
            status, confidence, sources = tracks[info.document_id].row(index)
            if not status and not sources:
                continue
            confidence = decode_confidence(confidence)
            yield {
                "frame": index,
                "name": job.source.name(index),
                "object": info.id,
                "status": FrameStatus(status).name.lower(),
                "confidence": None if confidence is None else round(confidence, 4),
                "keyframes": list(job.state.source_table[sources]),
                "key": index in job.state.keyframes,
                "locked": index in job.state.locked_frames,
            }
