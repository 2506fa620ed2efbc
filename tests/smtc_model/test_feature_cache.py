"""Features come back as they were kept, or not at all; the folder stays within its limit."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import shutil
import time

import numpy as np
import pytest
from test_propagation import Clip, Remembered

from smtc_model.backbone import create_backbone
from smtc_model.feature_cache import FOLDER, FeatureCache
from smtc_model.frame_features import cached_for
from smtc_model.propagation import propagate
from smtc_model.propagation_config import PropagationConfig

BYTES = 64 + 2 * 8 * 4 * 4
SMALL = dataclasses.replace(PropagationConfig(), short_side_px=None, target_features=96, recent_frames=3)


def frame(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8)


def features(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(8, 4, 4)).astype(np.float16)


def age(cache: FeatureCache, *, seconds: float) -> None:
    for path in cache.folder.glob("*/*.f16"):
        then = path.stat().st_mtime - seconds
        os.utime(path, (then, then))


def test_what_was_kept_comes_back_mapped_and_read_only(tmp_path):
    store = FeatureCache(tmp_path, limit_bytes=1 << 20).store({"model": "a"})
    assert store.get(3, frame(3)) is None
    store.put(3, frame(3), features(3))
    found = store.get(3, frame(3))
    np.testing.assert_array_equal(found, features(3))
    assert isinstance(found, np.memmap)
    assert not found.flags.writeable
    assert store.hits == 1


def test_other_identity_index_or_pixels_are_not_mixed_up(tmp_path):
    cache = FeatureCache(tmp_path, limit_bytes=1 << 20)
    cache.store({"model": "a"}).put(0, frame(0), features(0))
    assert cache.store({"model": "b"}).get(0, frame(0)) is None
    assert cache.store({"model": "a"}).get(1, frame(0)) is None
    assert cache.store({"model": "a"}).get(0, frame(1)) is None
    assert cache.store({"model": "a"}).get(0, frame(0)) is not None


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "foreign"])
def test_damaged_files_are_noticed_and_removed(tmp_path, damage):
    store = FeatureCache(tmp_path, limit_bytes=1 << 20).store({})
    store.put(0, frame(0), features(0))
    (path,) = tmp_path.glob(f"{FOLDER}/*/*.f16")
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[100] ^= 1
    elif damage == "foreign":
        content[:8] = b"PNG12345"
    else:
        del content[40 if damage == "cut" else 0 :]
    path.write_bytes(content)
    assert store.get(0, frame(0)) is None
    assert not path.exists()
    store.put(0, frame(0), features(0))
    np.testing.assert_array_equal(store.get(0, frame(0)), features(0))


def test_the_least_recently_used_of_earlier_runs_go_first(tmp_path):
    old = FeatureCache(tmp_path, limit_bytes=10 * BYTES)
    for index in range(8):
        old.store({}).put(index, frame(index), features(index))
    age(old, seconds=100)
    new = FeatureCache(tmp_path, limit_bytes=10 * BYTES)
    store = new.store({})
    for index in (0, 1):
        assert store.get(index, frame(index)) is not None  # used again
    for index in range(10, 15):
        store.put(index, frame(index), features(index))
    assert new.used_bytes() <= 10 * BYTES
    assert all(store.get(index, frame(index)) is not None for index in (0, 1, 10, 11, 12, 13, 14))
    assert store.get(2, frame(2)) is None


def test_a_video_larger_than_the_limit_keeps_its_first_frames(tmp_path):
    cache = FeatureCache(tmp_path, limit_bytes=5 * BYTES)
    store = cache.store({})
    for index in range(20):
        store.put(index, frame(index), features(index))
    assert cache.used_bytes() == 5 * BYTES
    assert [i for i in range(20) if store.get(i, frame(i)) is not None] == [0, 1, 2, 3, 4]


def test_deleting_the_folder_at_any_time_costs_only_the_features(tmp_path):
    cache = FeatureCache(tmp_path, limit_bytes=1 << 20)
    store = cache.store({})
    store.put(0, frame(0), features(0))
    mapped = store.get(0, frame(0))
    shutil.rmtree(cache.folder)
    np.testing.assert_array_equal(mapped, features(0))
    assert store.get(0, frame(0)) is None
    store.put(0, frame(0), features(0))
    assert store.get(0, frame(0)) is not None


def test_clearing_removes_features_and_nothing_else(tmp_path):
    cache = FeatureCache(tmp_path, limit_bytes=1 << 20)
    for index in range(3):
        cache.store({}).put(index, frame(index), features(index))
    (cache.folder / "notes.txt").write_text("mine")
    assert cache.clear() == 3 * BYTES
    assert cache.used_bytes() == 0
    assert [path.name for path in cache.folder.iterdir()] == ["notes.txt"]


def test_a_folder_that_cannot_be_written_is_done_without(tmp_path, caplog):
    (tmp_path / FOLDER).write_text("a file where the folder should be")
    store = FeatureCache(tmp_path, limit_bytes=1 << 20).store({})
    store.put(0, frame(0), features(0))
    store.put(1, frame(1), features(1))
    assert store.get(0, frame(0)) is None
    assert len(caplog.records) == 1


def test_abandoned_temporary_files_go_when_room_is_looked_for(tmp_path):
    cache = FeatureCache(tmp_path, limit_bytes=1 << 20)
    cache.store({}).put(0, frame(0), features(0))
    (folder,) = cache.folder.iterdir()
    leftover = folder / ".00000009.f16.1.2.tmp"
    leftover.write_bytes(b"half")
    then = time.time() - 86400
    os.utime(leftover, (then, then))
    assert cache.used_bytes() == BYTES
    assert not leftover.exists()


def _use(folder, seed: int, wrong) -> None:
    store = FeatureCache(folder, limit_bytes=12 * BYTES).store({})
    order = np.random.default_rng(seed).integers(0, 30, 200)
    for index in map(int, order):
        found = store.get(index, frame(index))
        if found is None:
            store.put(index, frame(index), features(index))
        elif not np.array_equal(found, features(index)):
            wrong.value += 1


def test_two_processes_share_a_cache(tmp_path):
    context = multiprocessing.get_context("spawn")
    wrong = context.Value("i", 0)
    workers = [context.Process(target=_use, args=(tmp_path, seed, wrong)) for seed in (1, 2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert wrong.value == 0
    cache = FeatureCache(tmp_path, limit_bytes=1)
    assert 0 < cache.used_bytes() <= 14 * BYTES
    assert not list(tmp_path.glob("**/*.tmp"))


class Counting(Remembered):
    """Counts how often the backbone is asked."""

    def __init__(self) -> None:
        super().__init__([])
        self.inner = create_backbone("colour-texture").eval()
        self.stride = self.inner.stride
        self.calls = 0

    def forward(self, frames):
        self.calls += 1
        return self.inner(frames)


@pytest.mark.parametrize("overlap", [False, True])
def test_propagating_again_computes_no_features_and_gives_the_same_bytes(tmp_path, overlap):
    clip, model = Clip(8, squares=2), Counting()
    cache = FeatureCache(tmp_path, limit_bytes=1 << 30)
    kept = cached_for(cache, footage="clip", model_hash="m", config=SMALL, device="cpu")

    def run(store, keyframes):
        found = propagate(
            model, clip, keyframes, direction="both", config=SMALL, features=store, overlap=overlap
        )
        return {f.index: f.labels.tobytes() for f in found}

    first = {2: clip.labels(2)}
    plain = run(None, first)
    assert run(kept, first) == plain
    calls = model.calls
    assert run(kept, first) == plain
    corrected = run(kept, {**first, 5: clip.labels(5)})
    assert model.calls == calls
    assert corrected == run(None, {**first, 5: clip.labels(5)})
    assert model.calls > calls
