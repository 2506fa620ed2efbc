"""Records reach the file in order, one at most is unwritten, no file is given up before the next is whole."""

from __future__ import annotations

import os
import threading

import pytest

from smtc_app.io.journal import JournalWriter, Record, encode_record, read_records


def test_no_more_than_the_last_record_is_ever_unwritten(tmp_path, monkeypatch):
    writer, file = JournalWriter(), tmp_path / "a.journal"
    writer.start(file, list, lambda: None)
    assert writer.flush()
    returned, ahead, write = threading.Semaphore(0), [], os.write

    def slow(descriptor, data):
        # The edit of this record may go on meanwhile, and no other: the disk gives it ample time to.
        assert returned.acquire(timeout=30)
        ahead.append(returned.acquire(timeout=0.1))
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", slow)
    for number in range(5):
        writer.append(lambda number=number: Record({"n": number}))
        returned.release()
    writer.close()
    assert ahead == [False] * 5
    assert [record.head["n"] for record in read_records(file)] == list(range(5))


def test_records_of_the_machine_need_not_wait_for_the_disk(tmp_path, monkeypatch):
    writer, file = JournalWriter(), tmp_path / "a.journal"
    writer.start(file, list, lambda: None)
    assert writer.flush()
    go_on, write = threading.Event(), os.write

    def slow(descriptor, data):
        assert go_on.wait(30)
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", slow)
    for number in range(8):
        writer.append(lambda number=number: Record({"n": number}), backlog=8)
    assert list(read_records(file)) == []
    go_on.set()
    writer.close()
    assert [record.head["n"] for record in read_records(file)] == list(range(8))


def test_the_first_file_is_waited_for_before_a_second_record_is_only_in_memory(tmp_path):
    writer, file, go_on = JournalWriter(), tmp_path / "a.journal", threading.Event()

    def checkpoint():
        assert go_on.wait(30)
        return [Record({"n": 0})]

    writer.start(file, checkpoint, lambda: None)
    writer.append(lambda: Record({"n": 1}))
    assert not file.exists() or list(read_records(file)) == []
    threading.Timer(0.05, go_on.set).start()
    writer.append(lambda: Record({"n": 2}))
    assert [record.head["n"] for record in read_records(file)][:2] == [0, 1]
    writer.close()


def test_records_go_to_the_old_file_until_the_new_one_is_whole(tmp_path):
    writer, go_on, filling = JournalWriter(), threading.Event(), threading.Event()
    old, new = tmp_path / "1.journal", tmp_path / "2.journal"
    writer.start(old, lambda: [Record({"n": 0})], lambda: None)
    assert writer.flush()

    def checkpoint():
        filling.set()
        assert go_on.wait(30)
        return [Record({"n": 100})]

    writer.start(new, checkpoint, old.unlink)
    assert filling.wait(30)
    for number in (1, 2, 3):  # each waits for those before it
        writer.append(lambda number=number: Record({"n": number}))
    in_old = [record.head["n"] for record in read_records(old)]
    assert in_old[:3] == [0, 1, 2]
    go_on.set()
    assert writer.flush()
    assert not old.exists()
    writer.append(lambda: Record({"n": 4}))
    writer.close()
    assert [record.head["n"] for record in read_records(new)] == [100, 1, 2, 3, 4]


def test_a_crash_before_the_new_file_has_all_records_finds_the_old_one(tmp_path, monkeypatch):
    writer = JournalWriter()
    old, new, write = tmp_path / "1.journal", tmp_path / "2.journal", os.write
    writer.start(old, lambda: [Record({"n": 0})], lambda: None)
    assert writer.flush()
    go_on, seen = threading.Event(), []

    def checkpoint():
        assert go_on.wait(30)
        return [Record({"n": 100})]

    def looked_at(descriptor, data):
        if go_on.is_set():
            in_new = [record.head["n"] for record in read_records(new)] if new.exists() else []
            seen.append((in_new, [record.head["n"] for record in read_records(old)]))
        return write(descriptor, data)

    writer.start(new, checkpoint, old.unlink)
    for number in (1, 2):
        writer.append(lambda number=number: Record({"n": number}), backlog=0)
    monkeypatch.setattr(os, "write", looked_at)
    go_on.set()
    assert writer.flush()
    assert len(seen) >= 4
    assert all(found == ([], [0, 1, 2]) for found in seen)
    assert [record.head["n"] for record in read_records(new)] == [100, 1, 2]
    writer.close()


def test_a_new_file_that_fails_leaves_the_old_one_in_use(tmp_path):
    problems = []
    writer, old = JournalWriter(problems.append), tmp_path / "1.journal"
    writer.start(old, list, lambda: None)
    (tmp_path / "file").write_text("in the way")
    writer.start(tmp_path / "file" / "2.journal", list, old.unlink)
    writer.append(lambda: Record({"n": 1}))
    assert writer.flush()
    assert len(problems) == 1
    assert not writer.failed
    writer.append(lambda: Record({"n": 2}))
    writer.close()
    assert [record.head["n"] for record in read_records(old)] == [1, 2]


def test_records_come_back(tmp_path):
    writer, file = JournalWriter(), tmp_path / "a.journal"
    records = [Record({"kind": "x", "n": n}, [bytes([n]) * n, b""]) for n in range(5)]
    removed = []
    writer.start(file, lambda: records[:2], lambda: removed.append(file.exists()))
    for record in records[2:]:
        writer.append(lambda record=record: record)
    assert writer.flush()
    writer.close()
    assert removed == [True]
    assert list(read_records(file)) == records
    with pytest.raises(ValueError, match="closed"):
        writer.append(lambda: records[0])
    file.write_bytes(b"something else entirely")
    assert list(read_records(file)) == []
    assert len(encode_record(records[4])) < 100


@pytest.mark.parametrize("durable", [True, False])
def test_closing_waits_for_the_disk_only_where_the_records_matter(tmp_path, monkeypatch, durable):
    writer, file = JournalWriter(), tmp_path / "a.journal"
    writer.start(file, list, lambda: None)
    assert writer.flush()
    flushed, fsync = [], os.fsync

    def note(descriptor):
        flushed.append(descriptor)
        fsync(descriptor)

    held = threading.Event()

    def wait_and_make():
        # The record is made after `close` has been called: nothing has been flushed by itself before.
        assert held.wait(30)
        return Record({"n": 1})

    writer.append(wait_and_make, backlog=5)
    monkeypatch.setattr(os, "fsync", note)
    closing = threading.Thread(target=writer.close, kwargs={"durable": durable})
    closing.start()
    with writer._condition:
        assert writer._condition.wait_for(lambda: writer._closed, 30)
    held.set()
    closing.join(30)
    assert bool(flushed) is durable
    assert [record.head["n"] for record in read_records(file)] == [1], "written it is, in any case"
