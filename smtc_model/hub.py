"""Finds the published weights of a timm model: in a local folder, in the hub's cache, or on the hub."""

from __future__ import annotations

import logging
import os
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

from .assets import WEIGHTS_VARIABLE, find_weights, user_weights_folder
from .backbone import BACKBONES, Progress
from .errors import ModelError

logger = logging.getLogger(__name__)

HUB_FILE = "model.safetensors"
_CONNECT_TIMEOUT_S = 10


def hub_repository(model: str) -> str | None:
    """The hub repository of a timm model's weights, such as "timm/vit_small_patch16_224.dino", or None."""
    if model in BACKBONES:
        return BACKBONES[model].source
    import timm

    cfg = timm.get_pretrained_cfg(model)
    return cfg.hf_hub_id if cfg is not None else None


def cached_weights(model: str) -> Path | None:
    """A local file with the weights of a timm model, without asking the network.

    A file in one of our folders wins over the hub's cache."""
    local = find_weights(model)
    if local is not None:
        return local
    repository = hub_repository(model)
    if repository is None:
        return None
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, HUB_FILE)
    return Path(found) if isinstance(found, str) else None


def fetch_timm_weights(model: str, *, progress: Progress | None = None) -> Path:
    """Path of the weights of a timm model, downloaded into the hub's cache if need be.

    progress: told (bytes done, bytes in all); without it the hub shows a bar of its own. Raises ModelError
    with what to fetch and where to put it when the hub can't be reached.
    """
    cached = cached_weights(model)
    if cached is not None:
        return cached
    repository = hub_repository(model)
    if repository is None:
        raise ModelError(f"no weights of {model!r} are published; give a local file instead")
    from huggingface_hub import hf_hub_download, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError

    logger.info("fetching %s of %s", HUB_FILE, repository)
    try:
        _knock(hf_hub_url(repository, HUB_FILE))
        options = {} if progress is None else {"tqdm_class": _bar_reporting_to(progress)}
        return Path(hf_hub_download(repository, HUB_FILE, **options))
    except (OSError, HfHubHTTPError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise ModelError(
            f"the weights of {model!r} are not on this machine and can't be fetched ({reason}): download "
            f"'{HUB_FILE}' of the hub repository '{repository}' elsewhere and put it here as "
            f"'{user_weights_folder() / model}.safetensors', or set {WEIGHTS_VARIABLE} to the folder "
            "that has it under this name"
        ) from error


def _knock(url: str) -> None:
    """OSError if nobody answers; the hub's own client would retry for half a minute before it gives up."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=_CONNECT_TIMEOUT_S):
            logger.debug("the hub answers")
    except urllib.error.HTTPError as error:
        logger.debug("the hub answers, its client will know what %s means", error)


def _bar_reporting_to(progress: Progress) -> type[tqdm]:
    class Bar(tqdm):
        def __init__(self, *args: object, **settings: object) -> None:
            # The hub passes names that only its own bar knows, and switches bars off away from terminals.
            settings.pop("name", None)
            settings.update(disable=False, file=open(os.devnull, "w"))  # noqa: SIM115
            super().__init__(*args, **settings)

        def update(self, n: float | None = 1) -> bool | None:
            shown = super().update(n)
            progress(int(self.n), int(self.total or 0))
            return shown

        def close(self) -> None:
            super().close()
            self.fp.close()

    return Bar
