"""The services of the real window: files, footage and the model behind the functions that it is handed."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from smtc_app.assets import assets_folder
from smtc_app.core.settings import Settings
from smtc_app.io.dataset_probe import DatasetProbe
from smtc_app.io.frame_cache import FrameCache
from smtc_app.jobs import (
    adapt_tasks,
    alarm_tasks,
    dataset_tasks,
    export_tasks,
    file_tasks,
    split_tasks,
    tasks,
    window_tasks,
)
from smtc_app.jobs.proposal_cache import ProposalCache
from smtc_app.jobs.view_tasks import ClipViews
from smtc_app.ui.services import Services


def demo_clip() -> Path:
    """The clip that comes with the application."""
    return assets_folder() / "demo" / "clip.mp4"


def make_services(settings: Settings) -> Services:
    """The real ones."""

    def make_frame_cache(source: Any, **callbacks: Any) -> FrameCache:
        return FrameCache(source, limit_bytes=settings.frame_cache_bytes, **callbacks)

    cache = ProposalCache()
    return Services(
        open_task=file_tasks.open_task,
        find_dataset_task=file_tasks.find_dataset_task,
        mark_done_task=file_tasks.mark_done_task,
        remember_video_task=file_tasks.remember_video_task,
        make_dataset_probe=DatasetProbe,
        save_task=file_tasks.save_task,
        make_journal=file_tasks.make_journal,
        list_recoveries_task=file_tasks.list_recoveries_task,
        restore_task=file_tasks.restore_task,
        export_task=window_tasks.on_own_source(export_tasks.export_task),
        import_mask_task=window_tasks.import_mask_task,
        import_masks_task=window_tasks.on_own_source(window_tasks.import_masks_task),
        propose_task=window_tasks.on_own_source(partial(tasks.propose_task, cache=cache)),
        regions_task=partial(window_tasks.regions_task, cache=cache),
        propose_videos_task=dataset_tasks.propose_videos_task,
        find_new_objects_task=window_tasks.on_own_source(alarm_tasks.find_new_objects_task),
        propagate_task=window_tasks.on_own_source(window_tasks.propagate_groups_task),
        adapt_task=window_tasks.on_own_source(adapt_tasks.adapt_task),
        split_task=window_tasks.on_own_source(tasks.split_task),
        extend_split_task=window_tasks.on_own_source(split_tasks.extend_split_task),
        preload_task=window_tasks.preload_task,
        clear_cache_task=tasks.clear_cache_task,
        make_views=ClipViews,
        make_frame_cache=make_frame_cache,
        demo_clip=demo_clip,
    )
