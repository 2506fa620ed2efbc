"""What the window needs from outside the user interface, handed in by `app`: files, footage, the model.

The user interface imports neither io nor tasks; tests hand in small fakes instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smtc_app.core.export import ExportResult
from smtc_app.jobs.opened import FoundDataset, Opened, SourceMissing


@dataclass(frozen=True)
class Services:
    """Functions only. Tasks are `task(ctx, ...)` and run in a worker thread; the rest must return at once."""

    open_task: Callable[..., Opened | SourceMissing | FoundDataset]
    """(ctx, path, demo, footage) -> Opened; `footage`: where the person says that a project's video is"""
    find_dataset_task: Callable[..., FoundDataset]
    """(ctx, path) -> FoundDataset"""
    mark_done_task: Callable[..., None]
    """(ctx, dataset folder, name, done)"""
    remember_video_task: Callable[..., None]
    """(ctx, dataset folder, name, order of the list)"""
    make_dataset_probe: Callable[..., Any]
    """(entries, project_of, deliver) -> looks into videos with its own thread"""
    save_task: Callable[..., tuple[Any, Callable[[], None] | None]]
    """(ctx, path, state, source, parameters, save_id) -> project info, what releases it if it was not held"""
    make_journal: Callable[[Opened, Callable[[str], None]], Any]
    """(opened, on_problem) -> journal of its document"""
    list_recoveries_task: Callable[..., Sequence[Any]]
    """(ctx) -> unsaved work of crashes, newest first"""
    restore_task: Callable[..., Opened | SourceMissing]
    """(ctx, recovery, footage) -> Opened"""
    export_task: Callable[..., ExportResult]
    """(ctx, source, state, request, runs, made_with, settings) -> what was written and read back"""
    import_masks_task: Callable[..., Sequence[str]]
    """(ctx, source, folder) -> notes; hands over (frame, labels, hints about objects) for every mask"""
    import_mask_task: Callable[..., tuple[Any, Sequence[str]]]
    """(ctx, path, (width, height)) -> labels, notes"""
    propose_task: Callable[..., Any]
    """(ctx, source, frames, settings...) -> ({frame: proposals}, summary); hands over (frame, proposals)"""
    regions_task: Callable[..., Any]
    """(ctx, source, frame, settings...) -> (source, frame, its `FrameRegions`)"""
    propose_videos_task: Callable[..., Any]
    """(ctx, entries, project_of, is_open, parameters, settings...) -> what came of each; hands over names"""
    find_new_objects_task: Callable[..., Any]
    """(ctx, source, {frame: labels}, keyframes, settings...) -> regions without a label, by time"""
    propagate_task: Callable[..., Any]
    adapt_task: Callable[..., Any]
    """(ctx, source, {keyframe: labels}, settings...) -> what it came to, with the model's path if it helps"""
    split_task: Callable[..., Any]
    extend_split_task: Callable[..., Any]
    """(ctx, source, frame, parts, {frame: labels}, id, settings...); hands over (frame, parts)"""
    preload_task: Callable[..., Any]
    clear_cache_task: Callable[..., int]
    """(ctx, cache) -> bytes freed"""
    make_views: Callable[[Any], Any]
    """(source) -> its views, whose methods are tasks (`jobs.view_tasks.ClipViews`)"""
    make_frame_cache: Callable[..., Any]
    """(source, on_frame, on_error) -> frame cache with its own thread"""
    demo_clip: Callable[[], Path]
