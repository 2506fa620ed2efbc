"""Masks come back exactly, whatever happens to their bytes, and memory stays bounded."""

from __future__ import annotations

import gc
import logging
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from smtc_app.core import mask_packing
from smtc_app.core.errors import UserError
from smtc_app.core.mask_packing import count_packed, pack_labels, relabel_packed, unpack_labels
from smtc_app.core.mask_store import MaskStore

SHAPE = (40, 60)


def blobs(seed, shape=SHAPE):
    small = np.random.default_rng(seed).integers(0, 5, (5, 6))
    return np.kron(small, np.ones((shape[0] // 5, shape[1] // 6), int)).astype(np.uint16)


def noise(seed, shape=SHAPE):
    return np.random.default_rng(seed).integers(0, 65535, shape).astype(np.uint16)


@given(hnp.arrays(np.uint16, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_packing_is_exact(labels):
    packed = pack_labels(labels)
    assert np.array_equal(unpack_labels(packed, labels.shape), labels)
    assert np.array_equal(count_packed(packed, labels.shape), np.bincount(labels.ravel()))


@pytest.mark.parametrize("piece", [1, 3, 7, 48, 1000])
def test_runs_are_the_same_however_they_are_looked_for(monkeypatch, piece):
    labels = np.repeat(np.random.default_rng(4).integers(0, 3, 16), 3).astype(np.uint16).reshape(6, 8)
    whole = pack_labels(labels)
    monkeypatch.setattr(mask_packing, "_PIECE", piece)
    assert pack_labels(labels) == whole
    assert np.array_equal(unpack_labels(whole, labels.shape), labels)


@given(
    hnp.arrays(np.uint16, (6, 9), elements=st.integers(0, 4)), st.permutations(range(5)), st.integers(0, 4)
)
def test_packed_masks_are_relabelled_as_their_pixels_would_be(labels, order, merged):
    table = MaskStore.relabel_table({**dict(enumerate(order)), merged: order[0]})
    assert relabel_packed(pack_labels(labels), table, labels.shape) == pack_labels(table[labels])
    wide = np.repeat(np.repeat(labels, 8, 0), 8, 1)
    assert relabel_packed(pack_labels(wide), table, wide.shape) == pack_labels(table[wide])


@given(st.binary(max_size=40))
def test_damaged_bytes_are_a_value_error(data):
    with pytest.raises(ValueError, match="damaged"):
        unpack_labels(data, (5, 7))


def test_bytes_of_another_size_are_a_value_error():
    for labels in (blobs(0), noise(0)):
        with pytest.raises(ValueError, match="41x60"):
            unpack_labels(pack_labels(labels), (60, 41))


def test_a_full_hd_mask_packs_small():
    labels = np.zeros((1080, 1920), np.uint16)
    labels[200:900, 300:1500] = 3
    labels[400:500, 100:700] = 40000
    assert len(pack_labels(labels)) < 20_000


def test_an_empty_mask_needs_no_handle():
    assert MaskStore(SHAPE).pack(np.zeros(SHAPE, np.uint16)) is None


def test_wrong_arrays_are_refused():
    store = MaskStore(SHAPE)
    with pytest.raises(ValueError, match="shape"):
        store.pack(np.zeros((3, 3), np.uint16))
    with pytest.raises(ValueError, match="integers"):
        store.pack(np.zeros(SHAPE, np.float32))
    with pytest.raises(ValueError, match="65534"):
        store.pack(np.full(SHAPE, -1))
    assert store.pack(np.full(SHAPE, True)).labels()[0, 0] == 1


def test_a_packed_mask_does_not_follow_its_array():
    store, labels = MaskStore(SHAPE), blobs(1)
    handle = store.pack(labels)
    labels[:] = 9
    assert np.array_equal(handle.labels(), blobs(1))


def test_decoded_copies_are_bounded_and_masks_still_exact():
    store = MaskStore(SHAPE, decoded_bytes=3 * blobs(0).nbytes)
    handles = [store.pack(blobs(seed)) for seed in range(20)]
    assert store.memory_bytes <= 3 * blobs(0).nbytes + sum(handle.nbytes for handle in handles)
    for seed, handle in enumerate(handles):
        assert np.array_equal(handle.labels(), blobs(seed))


def test_old_masks_go_to_disk_and_come_back(tmp_path):
    store = MaskStore(SHAPE, decoded_bytes=1, packed_bytes=30_000, spill_folder=tmp_path)
    handles = [store.pack(noise(seed)) for seed in range(40)]
    one = noise(0).nbytes
    assert store.memory_bytes <= 30_000 + one
    assert store.spilled_bytes > 30 * one
    for seed in (0, 39, 7):
        assert np.array_equal(handles[seed].labels(), noise(seed))
    assert list(tmp_path.iterdir()) == [], "temporary files have no names to be left behind"
    spilled = store.spilled_bytes
    del handles[:20]
    gc.collect()
    assert store.spilled_bytes < spilled
    store.close()


def test_memory_returns_when_handles_go():
    store = MaskStore(SHAPE, decoded_bytes=0)
    handles = [store.pack(noise(seed)) for seed in range(5)]
    full = store.memory_bytes
    del handles[1:]
    gc.collect()
    store.unpack(handles[0])
    assert store.memory_bytes < full / 2


def test_a_full_temporary_folder_keeps_masks_in_memory(monkeypatch, caplog):
    def no_space(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", no_space)
    store = MaskStore(SHAPE, decoded_bytes=1, packed_bytes=10_000)
    with caplog.at_level(logging.WARNING):
        handles = [store.pack(noise(seed)) for seed in range(10)]
    assert "No space left" in caplog.text
    assert all(np.array_equal(handle.labels(), noise(seed)) for seed, handle in enumerate(handles))


def test_relabelled_masks_are_worked_out_late():
    store = MaskStore(SHAPE)
    parent = store.pack(blobs(2))
    once = store.relabel(parent, store.relabel_table({1: 2, 2: 1}))
    twice = store.relabel(once, store.relabel_table({2: 0}))
    labels = blobs(2)
    swapped = np.where(labels == 1, 2, np.where(labels == 2, 1, labels))
    assert np.array_equal(twice.labels(), np.where(swapped == 2, 0, swapped))
    assert np.array_equal(once.labels(), swapped)
    assert unpack_labels(once.data(), SHAPE).tolist() == swapped.tolist()
    assert np.array_equal(parent.labels(), labels)


class TestFiles:
    @pytest.fixture
    def file(self, tmp_path):
        path = tmp_path / "mask.npy"
        np.save(path, blobs(3))
        return path

    def test_a_mask_is_read_when_looked_at(self, file):
        reads = []
        store = MaskStore(SHAPE, decoded_bytes=1)
        handle = store.adopt_file(file, lambda path: reads.append(path) or np.load(path))
        assert not reads
        assert handle.nbytes == 0
        assert np.array_equal(handle.labels(), blobs(3))
        assert handle.file == file
        assert unpack_labels(handle.data(), SHAPE).tolist() == blobs(3).tolist()

    def test_a_mask_survives_its_file_once_detached(self, file):
        store = MaskStore(SHAPE)
        handle = store.adopt_file(file, np.load)
        store.detach_files(file.parent)
        file.unlink()
        assert handle.file is None
        assert np.array_equal(handle.labels(), blobs(3))

    def test_a_file_that_is_gone_changed_or_of_another_size_is_told(self, file, tmp_path):
        store = MaskStore(SHAPE)
        handle = store.adopt_file(file, np.load)
        np.save(file, np.zeros((80, 90), np.uint16))
        with pytest.raises(UserError, match="changed by another program"):
            handle.labels()
        wrong = store.adopt_file(file, np.load)
        with pytest.raises(UserError, match="90x80 pixels, the video 60x40"):
            wrong.labels()
        file.unlink()
        with pytest.raises(UserError, match="is gone"):
            handle.labels()


def test_many_threads_read_the_same_masks():
    store = MaskStore(SHAPE, decoded_bytes=3 * blobs(0).nbytes, packed_bytes=2000)
    handles = [store.pack(blobs(seed)) for seed in range(12)]
    wrong = []

    def read(offset):
        for turn in range(60):
            seed = (turn * 5 + offset) % 12
            if not np.array_equal(handles[seed].labels(), blobs(seed)):
                wrong.append(seed)

    threads = [threading.Thread(target=read, args=(offset,)) for offset in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_nobody_waits_for_a_mask_that_another_thread_reads(tmp_path):
    store, gate, inside = MaskStore(SHAPE), threading.Event(), threading.Event()
    file = tmp_path / "00000.png"
    file.write_bytes(b"a mask")
    slow_labels, packed = blobs(1), pack_labels(blobs(2))

    def slow(_path):
        inside.set()
        assert gate.wait(10)
        return slow_labels

    handle, other = store.adopt_file(file, slow), store.adopt(packed)
    with ThreadPoolExecutor(2) as pool:
        try:
            read = pool.submit(handle.labels)
            assert inside.wait(10)
            looked_at = pool.submit(lambda: (other.labels(), other.counts(), other.data()))
            labels, counts, data = looked_at.result(10)
        finally:
            gate.set()
        assert np.array_equal(read.result(10), slow_labels)
    assert np.array_equal(labels, blobs(2))
    assert np.array_equal(counts, np.bincount(labels.ravel()))
    assert data == packed


def test_a_file_that_is_replaced_while_it_is_read_gives_the_mask_that_it_held(tmp_path):
    store, reads = MaskStore(SHAPE), []
    file = tmp_path / "00000.png"
    file.write_bytes(b"a mask")
    held, replaced = blobs(1), blobs(2)

    def read(_path):
        reads.append(1)
        if len(reads) > 1:
            return held
        # Somebody saves: the mask is taken into memory, and another one put into its file.
        store.detach_files(tmp_path)
        file.write_bytes(b"another mask")
        return replaced

    handle = store.adopt_file(file, read)
    assert np.array_equal(handle.labels(), held)
    assert handle.file is None
    assert handle.labels() is handle.labels()


def test_threads_that_look_at_once_see_one_array():
    store = MaskStore(SHAPE)
    handle = store.relabel(store.adopt(pack_labels(blobs(3))), MaskStore.relabel_table({1: 4}))
    with ThreadPoolExecutor(8) as pool:
        arrays = list(pool.map(lambda _: handle.labels(), range(16)))
    assert all(array is handle.labels() for array in arrays)
    assert np.array_equal(handle.labels(), np.where(blobs(3) == 1, 4, blobs(3)))


def test_the_bytes_of_a_relabelled_mask_are_those_of_its_pixels():
    store = MaskStore(SHAPE)
    table = MaskStore.relabel_table({1: 4, 2: 0})
    relabelled = store.relabel(store.adopt(pack_labels(blobs(3))), table)
    assert relabelled.data() == pack_labels(table[blobs(3)])
    assert np.array_equal(relabelled.labels(), table[blobs(3)])
    assert relabelled.nbytes == len(relabelled.data())
