"""What a propagation says about itself: a JSON file with a row for each frame and object, written and read.

Layout (version 1):

    schema          "smtc-app propagation report"
    version         1
    source          {path, fingerprint, frames, size [width, height]}
    model           {name, hash, trained}
    device          what it was computed on
    settings        {direction, preset, ...}: everything that decides over the result
    seed            of all random numbers
    objects         ids, ascending
    keyframes       frame indices, ascending
    correct_next    [{frame, object, gain, reason}], the most helpful first; gain in frames of perfect J
    frames          [{frame, sources, objects}], ascending, without the keyframes
        sources     the keyframes that the labels came from
        objects     [{id, confidence, consistency, area, centroid}]
            confidence   [0,1], the J that such labels have had
            consistency  [0,1], agreement with the keyframes after carrying the labels back to them, or null
            area         px
            centroid     [x, y] in px, pixel centres at .5, or null where the area is 0

Rows are kept in `<report>.part` while the run goes on, so that memory is bounded and a run that was ended can
be gone on with; the report itself appears whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from smtc_app.core.errors import UserError
from smtc_app.core.files import sync_folder, why

SCHEMA, VERSION = "smtc-app propagation report", 1
_HEAD = {
    "source": dict,
    "model": dict,
    "device": str,
    "settings": dict,
    "seed": int,
    "objects": list,
    "keyframes": list,
    "correct_next": list,
    "frames": list,
}


class ReportWriter:
    """Collects rows and writes the report at the end. Raises UserError where nothing can be written.

    resume: keep the rows of the run before.
    """

    def __init__(self, path: Path, *, resume: bool = False) -> None:
        self.path = path
        self._part = path.with_name(f"{path.name}.part")
        self._offsets: dict[int, int] = {}
        if path.is_dir():
            raise UserError(f"{path} is a folder; give the report another name.")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = self._part.open("a+b" if resume else "w+b")
        except OSError as error:
            raise UserError(f"The report {path} cannot be written: {why(error)}.") from error
        if resume:
            self._look_up()

    def _look_up(self) -> None:
        """Find the rows of the run before; half a line at the end is what a crash left."""
        self._file.seek(0)
        end = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            self._offsets[json.loads(line)["frame"]] = end
            end += len(line)
        self._file.truncate(end)
        self._file.seek(end)

    def add(
        self,
        frame: int,
        labels: np.ndarray,
        *,
        confidence: Mapping[int, float],
        consistency: Mapping[int, float],
        sources: Sequence[int],
    ) -> None:
        """One frame: labels (H,W); a frame that is given again replaces what was said of it before."""
        areas, centroids = areas_and_centroids(labels)
        objects = [
            {
                "id": int(i),
                "confidence": round(float(value), 4),
                "consistency": round(float(consistency[i]), 4) if i in consistency else None,
                "area": areas.get(int(i), 0),
                "centroid": centroids.get(int(i)),
            }
            for i, value in sorted(confidence.items())
        ]
        row = {"frame": int(frame), "sources": [int(s) for s in sources], "objects": objects}
        self._offsets[int(frame)] = self._file.tell()
        self._file.write(json.dumps(row, separators=(",", ":")).encode() + b"\n")

    def rows(self) -> Iterator[dict[str, Any]]:
        """All rows, by frame."""
        self._file.flush()
        for frame in sorted(self._offsets):
            self._file.seek(self._offsets[frame])
            yield json.loads(self._file.readline())
        self._file.seek(0, os.SEEK_END)

    def finish(self, head: Mapping[str, Any]) -> None:
        """Write the report: `head` is everything but schema, version and frames."""
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        try:
            with temporary.open("w", encoding="utf-8") as file:
                text = json.dumps({"schema": SCHEMA, "version": VERSION, **head}, indent=1)
                file.write(text.removesuffix("\n}") + ',\n "frames": [')
                for number, row in enumerate(self.rows()):
                    file.write((",\n  " if number else "\n  ") + json.dumps(row))
                file.write("\n ]\n}\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path)
            sync_folder(self.path.parent)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise UserError(f"The report {self.path} cannot be written: {why(error)}.") from error
        self.close()
        self._part.unlink(missing_ok=True)

    def close(self) -> None:
        """Stop writing; what was added stays in the `.part` file for a later run."""
        self._file.close()


def areas_and_centroids(labels: np.ndarray) -> tuple[dict[int, int], dict[int, list[float]]]:
    """labels (H,W) -> area in px of each id, and its centroid [x, y] in px, pixel centres at .5."""
    places = np.flatnonzero(labels)
    ids = labels.ravel()[places]
    counts = np.bincount(ids)
    y, x = np.divmod(places, labels.shape[1])
    sums = [np.bincount(ids, weights=v + 0.5) for v in (x, y)]
    present = np.flatnonzero(counts)
    areas = {int(i): int(counts[i]) for i in present}
    return areas, {int(i): [round(float(s[i] / counts[i]), 2) for s in sums] for i in present}


def read_report(path: str | Path) -> dict[str, Any]:
    """A report as JSON values, checked against the layout. Raises UserError with what is wrong in it."""
    path = Path(path)
    try:
        report = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"The report {path} cannot be read: {why(error)}.") from error
    except ValueError as error:
        raise UserError(f"{path} is no JSON: {error}.") from error
    problem = _problem(report)
    if problem:
        raise UserError(f"{path} is no valid propagation report: {problem}.")
    return report


def _problem(report: Any) -> str:
    """What is wrong, or nothing."""
    if not isinstance(report, dict) or report.get("schema") != SCHEMA:
        return f"its schema is not {SCHEMA!r}"
    if report.get("version") != VERSION:
        return f"its version is {report.get('version')!r}, not {VERSION}"
    for name, kind in _HEAD.items():
        if not isinstance(report.get(name), kind):
            return f"{name} is missing or not a {kind.__name__}"
    count = report["source"].get("frames")
    if not isinstance(count, int):
        return "source.frames is not a number"
    before = -1
    for row in report["frames"]:
        if not isinstance(row, dict) or not isinstance(row.get("frame"), int):
            return "a row has no frame"
        frame = row["frame"]
        if not before < frame < count:
            return f"frame {frame} is out of order, repeated or outside the video"
        before = frame
        if not set(row.get("sources", [None])) <= set(report["keyframes"]):
            return f"frame {frame} comes from frames that are not keyframes"
        for entry in row.get("objects", [{}]):
            wrong = _object_problem(entry, report["objects"])
            if wrong:
                return f"frame {frame}: {wrong}"
    return ""


def _object_problem(entry: Mapping[str, Any], known: Sequence[int]) -> str:
    if entry.get("id") not in known:
        return f"object {entry.get('id')!r} is not listed"
    for name, optional in (("confidence", False), ("consistency", True)):
        value = entry.get(name)
        if not (optional and value is None) and not (isinstance(value, int | float) and 0 <= value <= 1):
            return f"{name} of object {entry['id']} is {value!r}, not in 0 to 1"
    area, centroid = entry.get("area"), entry.get("centroid")
    if not isinstance(area, int) or area < 0:
        return f"area of object {entry['id']} is {area!r}"
    if (centroid is None) != (area == 0):
        return f"centroid of object {entry['id']} does not go with its area"
    return ""
