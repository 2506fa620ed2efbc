"""A whole window with small footage in memory and a model that takes no time, for tests of the wiring."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from smtc_app.core.dataset import Dataset, VideoEntry
from smtc_app.core.document import Document, ProposalMask
from smtc_app.core.errors import UserError
from smtc_app.core.export import ExportResult
from smtc_app.core.frame_regions import FrameRegions
from smtc_app.core.views import (
    LabelReasons,
    LabelVote,
    LabelVotes,
    Opinion,
    PixelMatches,
    ViewMode,
    ViewPicture,
)
from smtc_app.io.frame_cache import FrameCache
from smtc_app.jobs.opened import FoundDataset, Opened

SIZE = 64, 48
FRAMES = 12


class FakeSource:
    """`FRAMES` frames of SIZE; the red of frame i is i, so that a pixel tells which frame is shown."""

    kind, fps, annotations = "video", 50.0, None

    def __init__(self, path: Path = Path("clip.mp4")) -> None:
        self.path, self.size, self.closed = path, SIZE, False

    def __len__(self) -> int:
        return FRAMES

    def __getitem__(self, index: int) -> np.ndarray:
        frame = np.full((SIZE[1], SIZE[0], 3), 40, np.uint8)
        frame[..., 0] = index
        return frame

    def timestamp(self, index: int) -> float:
        return index / self.fps

    def name(self, index: int) -> str:
        return f"{index:05d}"

    def reopen(self) -> FakeSource:
        return FakeSource(self.path)

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> FakeSource:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


class Propagated(NamedTuple):
    """Like the engine's frames."""

    index: int
    labels: np.ndarray
    confidence: dict[int, float]
    sources: tuple[int, ...]


SUMMARY = SimpleNamespace(
    model=SimpleNamespace(name="fake", hash="0123456789abcdef", trained=False, device="cpu", licence="MIT"),
    frames=0,
    message="",
)


def square(left: int, top: int, side: int = 12) -> np.ndarray:
    mask = np.zeros((SIZE[1], SIZE[0]), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def open_task(ctx, path, demo=False, footage=None):
    ctx.progress(0, 0)
    if "missing" in str(path):
        raise UserError(f"There is no file {path}; check the path.")
    source = FakeSource(Path(path))
    return Opened(source, Document(len(source), source.size), demo=demo)


class DatasetFolder:
    """Projects of a dataset under `path`; remembers what it is told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.marks: list[tuple[str, bool]] = []
        self.remembered: list[tuple[str | None, str]] = []

    def project_of(self, entry):
        return self.path / f"{entry.name}.smtc"

    def to_open(self, entry):
        return entry.path


class DatasetProbe:
    """Tells nothing by itself; tests call `deliver`."""

    def __init__(self, entries, project_of, deliver) -> None:
        self.deliver, self.closed = deliver, False
        self.wanted: list[str] = []
        self.refreshed: list[str] = []

    def want(self, names) -> None:
        self.wanted = list(names)

    def refresh(self, name) -> None:
        self.refreshed.append(name)

    def close(self) -> None:
        self.closed = True


def find_dataset_task(ctx, path):
    """Three clips, of which the second was open last."""
    root = Path(path)
    entries = tuple(VideoEntry(name, root / f"{name}.mp4") for name in ("first", "second", "third"))
    state = SimpleNamespace(done=frozenset({"third"}), last="second", sort="name")
    return FoundDataset(Dataset(root, "videos", entries), DatasetFolder(root / "smtc-projects"), state)


def mark_done_task(ctx, folder, name, done):
    folder.marks.append((name, done))


def remember_video_task(ctx, folder, name, sort):
    folder.remembered.append((name, sort))


def propose_task(ctx, source, frames, *, max_objects=10, granularity=0.5, first_track=1, **_settings):
    """Two squares on every frame, the first one less than half as large at granularity 1."""
    ctx.progress(0, 1)
    masks = (square(4, 4, 12 if granularity < 1 else 8), square(30, 20))[:max_objects]
    found = {}
    for f in frames:
        found[f] = [
            ProposalMask(f, i + 1, mask=m, score=0.9 - i / 4, track=first_track + i)
            for i, m in enumerate(masks)
        ]
        ctx.partial((f, found[f]))
    return found, SUMMARY


def regions_task(ctx, source, frame, **_settings):
    """The left half, which is two quarters one above the other, and the right half."""
    ctx.progress(0, 1)
    labels = np.full((SIZE[1], SIZE[0]), 2)
    labels[:, : SIZE[0] // 2] = 0
    labels[SIZE[1] // 2 :, : SIZE[0] // 2] = 1
    parent, worth = np.array([3, 3, 4, 4, -1]), np.array([0.2, 0.2, 0.3, 0.5, 0])
    return source, frame, FrameRegions(labels, parent, worth)


def propose_videos_task(ctx, entries, project_of, is_open, parameters, **_settings):
    names = [entry.name for entry in entries if not is_open(entry.name)]
    for done, name in enumerate(names):
        ctx.progress(done, len(names), name)
        ctx.partial(name)
    return SimpleNamespace(proposed=tuple(names), empty=(), problems=())


def propagate_task(ctx, source, groups, **_settings):
    for ids, keyframes, direction, (first, stop) in groups:
        key = min(keyframes)
        order = range(first, stop) if direction != "backward" else range(stop - 1, first - 1, -1)
        for index in order:
            if index not in keyframes:
                labels = np.array(keyframes[key])
                labels.setflags(write=False)
                ctx.partial((ids, Propagated(index, labels, dict.fromkeys(ids, 1 - index / 20), (key,))))
    return SUMMARY


def split_task(ctx, source, frame, mask, *, parts=2, **_settings):
    ctx.progress(0, 1)
    columns = np.flatnonzero(mask.any(0))
    left = mask.copy()
    left[:, columns[len(columns) // 2] :] = False
    return [left, mask & ~left]


def extend_split_task(ctx, source, frame, parts, masks, object_id, **_settings):
    for index in sorted(masks):
        ctx.partial((index, parts))
        ctx.progress(index, FRAMES)
    return len(masks)


def preload_task(ctx, **_settings):
    return SUMMARY.model


class Views:
    """Like `view_tasks.ClipViews`; what is seen tells which frame was asked for."""

    def __init__(self, source) -> None:
        self.source, self.closed = source, False
        self.asked: list[tuple] = []

    def picture_task(self, ctx, mode, frame, *, other=None, **_settings):
        ctx.progress(0, 1)
        self.asked.append((mode, frame, other))
        if mode is ViewMode.CONSISTENCY:
            heat = np.full((4, 6), 0.5, np.float32)
            return ViewPicture(mode, frame, other, None, heat, f"{frame} against {other}")
        image = np.full((4, 6, 3), 100 + frame, np.uint8)
        return ViewPicture(mode, frame, None, image, None, f"{mode.value} of {frame}")

    def match_task(self, ctx, frame, point, other, **_settings):
        self.asked.append((ViewMode.QUERY, frame, point, other))
        return PixelMatches(frame, point, other, np.ones((4, 6), np.float32), ((5.0, 6.0, 0.9),))

    def explain_task(self, ctx, frame, point, state, sources, *, preset, **_settings):
        self.asked.append((ViewMode.WHY, frame, point, tuple(sources)))
        label = int(state.labels(frame)[int(point[1]), int(point[0])])
        votes = (
            LabelVote(frame - 1, 5.0, 6.0, label, 0.7, 0.95),
            LabelVote(sources[0], 7.0, 8.0, 0, 0.3, 0.9),
        )
        return LabelVotes(frame, point, label, votes)

    def reasons_task(self, ctx, frame, point, state, sources, *, preset, **_settings):
        """Appearance contradicts the label and outweighs everything but the truth."""
        label = int(state.labels(frame)[int(point[1]), int(point[0])])
        opinions = (
            Opinion("appearance", 0.6, {0: 0.8, label: 0.2}),
            Opinion("match", 0.4, {label: 1.0}),
            Opinion("motion", 0.0, {label: 1.0}),
        )
        return LabelReasons(frame, point, opinions, {label: 0.6, 0: 0.4})

    def frame_task(self, ctx, index):
        return index, self.source[index]

    def close_task(self, ctx):
        self.closed = True


class Journal:
    """Counts what a journal is told."""

    def __init__(self) -> None:
        self.saves, self.closed = 0, None

    def mark_save(self) -> str:
        return "save"

    def saved(self, info, state) -> None:
        self.saves += 1

    working = True

    def flush(self, timeout_s: float) -> bool:
        return True

    def close(self, *, discard: bool) -> None:
        self.closed = discard


def make_services(folder: Path, **changes):
    """Services that need no disk but `folder` and no model; `changes` replaces some."""
    from smtc_app.ui.services import Services

    def save_task(ctx, path, state, source, parameters, save_id):
        (folder / "saved").write_text(str(path))
        return SimpleNamespace(path=Path(path)), None

    def export_task(ctx, source, state, request, *, runs=(), made_with=None, settings=None):
        ctx.progress(0, 1)
        return ExportResult(request.folder, request.format, len(request.frames), (), (), "read back equal.")

    services = {
        "open_task": open_task,
        "find_dataset_task": find_dataset_task,
        "mark_done_task": mark_done_task,
        "remember_video_task": remember_video_task,
        "make_dataset_probe": DatasetProbe,
        "save_task": save_task,
        "make_journal": lambda opened, on_problem: Journal(),
        "list_recoveries_task": lambda ctx: [],
        "restore_task": open_task,
        "export_task": export_task,
        "import_masks_task": lambda ctx, source, folder: [],
        "import_mask_task": lambda ctx, path, size: (square(0, 0).astype(np.uint16) * 3, ["Repaired."]),
        "propose_task": propose_task,
        "regions_task": regions_task,
        "propose_videos_task": propose_videos_task,
        "find_new_objects_task": lambda ctx, source, frames, keyframes, **settings: [],
        "propagate_task": propagate_task,
        "adapt_task": lambda ctx, source, keyframes, **settings: SimpleNamespace(path=None, message="No."),
        "split_task": split_task,
        "extend_split_task": extend_split_task,
        "preload_task": preload_task,
        "clear_cache_task": lambda ctx, cache: 3 << 20,
        "make_views": Views,
        "make_frame_cache": lambda source, **callbacks: FrameCache(source, limit_bytes=1 << 24, **callbacks),
        "demo_clip": lambda: folder / "demo.mp4",
    }
    return Services(**{**services, **changes})
