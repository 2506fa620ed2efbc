"""The worker thread: order, threads, cancelling, errors, bounded results, closing."""

from __future__ import annotations

import threading

import pytest
from PySide6.QtCore import QObject, QTimer

from smtc_app.core.errors import UserError
from smtc_app.jobs.runner import MAX_WAITING_PARTIALS, RATE_WINDOW_S, Job, JobRunner, JobState


@pytest.fixture
def runner(qtbot):
    runner = JobRunner()
    yield runner
    assert runner.close(10)


def _count(ctx, steps, seen_threads):
    seen_threads.append(threading.get_ident())
    for step in range(steps):
        ctx.progress(step, steps, "counting")
        ctx.partial(step)
    return steps


def test_results_arrive_in_order_in_the_gui_thread(runner, qtbot):
    worker_threads, partials, threads, results = [], [], set(), []

    def on_partial(value):
        partials.append(value)
        threads.add(threading.get_ident())

    job = runner.submit("Count", _count, 40, worker_threads, on_partial=on_partial, on_done=results.append)
    qtbot.waitUntil(lambda: job.state is JobState.DONE)
    assert partials == list(range(40))
    assert results == [40]
    assert threads == {threading.get_ident()}
    assert worker_threads != [threading.get_ident()]
    assert runner.jobs == ()


def test_a_task_faster_than_the_window_waits(runner, qtbot):
    handed_over = []

    def flood(ctx):
        for step in range(10 * MAX_WAITING_PARTIALS):
            ctx.partial(step)
            handed_over.append(step)

    most_ahead = []
    received = []

    def on_partial(value):
        received.append(value)
        most_ahead.append(len(handed_over) - len(received))

    job = runner.submit("Flood", flood, on_partial=on_partial)
    qtbot.waitUntil(lambda: job.state is JobState.DONE)
    assert len(received) == 10 * MAX_WAITING_PARTIALS
    assert max(most_ahead) <= MAX_WAITING_PARTIALS + 1


def test_cancel_keeps_what_came_and_ends_the_job(runner, qtbot):
    received = []
    cancelled = []

    def endless(ctx):
        step = 0
        while True:
            ctx.partial(step)
            step += 1

    def on_partial(value):
        received.append(value)
        if value == 5:
            job.cancel()

    job = runner.submit(
        "Endless", endless, on_partial=on_partial, on_cancelled=lambda: cancelled.append(True)
    )
    qtbot.waitUntil(lambda: job.state is JobState.CANCELLED)
    assert received[:6] == [0, 1, 2, 3, 4, 5]
    assert cancelled == [True]


def test_a_queued_job_can_be_cancelled_before_it_starts(runner, qtbot):
    release = threading.Event()
    ran = []
    first = runner.submit("Wait", lambda ctx: release.wait(10))
    second = runner.submit("Never", lambda ctx: ran.append(True))
    second.cancel()
    release.set()
    qtbot.waitUntil(lambda: second.state is JobState.CANCELLED)
    assert first.state is JobState.DONE
    assert ran == []


def test_a_user_error_arrives_as_its_sentence(runner, qtbot):
    def fail(ctx):
        raise UserError("clip.mp4 has no frames; choose another video.")

    errors = []
    job = runner.submit("Open", fail, on_error=errors.append)
    qtbot.waitUntil(lambda: job.state is JobState.FAILED)
    assert errors == ["clip.mp4 has no frames; choose another video."]


def test_an_unexpected_error_is_logged_and_the_worker_lives_on(runner, qtbot, caplog):
    errors, results = [], []
    job = runner.submit("Divide", lambda ctx: 1 / 0, on_error=errors.append)
    after = runner.submit("Add", lambda ctx: 1 + 1, on_done=results.append)
    qtbot.waitUntil(lambda: after.state is JobState.DONE)
    assert job.state is JobState.FAILED
    assert errors == ["Divide failed: ZeroDivisionError: division by zero"]
    assert "ZeroDivisionError" in caplog.text
    assert results == [2]


def test_closing_while_a_task_runs_joins_it_and_calls_nothing_back(qtbot):
    runner = JobRunner()
    started = threading.Event()
    calls = []

    def endless(ctx):
        started.set()
        while True:
            ctx.partial("x")

    runner.submit("Endless", endless, on_partial=calls.append, on_cancelled=lambda: calls.append("cancelled"))
    assert started.wait(10)
    assert runner.close(10)
    calls.clear()
    anchor = QObject()
    ticks = []
    QTimer.singleShot(50, anchor, lambda: ticks.append(True))
    qtbot.waitUntil(lambda: bool(ticks))
    assert calls == []
    with pytest.raises(RuntimeError, match="after close"):
        runner.submit("Late", lambda ctx: None)


def test_background_work_is_not_counted_as_busy(runner, qtbot):
    release = threading.Event()
    job = runner.submit("Preload", lambda ctx: release.wait(10), background=True)
    assert not runner.busy
    release.set()
    qtbot.waitUntil(lambda: job.state is JobState.DONE)


def test_a_job_that_yields_ends_when_another_one_comes(runner, qtbot):
    def patient(ctx):
        while True:
            ctx.progress(0, 1)

    ended, results = [], []
    first = runner.submit(
        "Look around", patient, background=True, yields=True, on_cancelled=lambda: ended.append(1)
    )
    runner.submit("Count", _count, 2, [], on_done=results.append)
    qtbot.waitUntil(lambda: results == [2])
    assert ended == [1]
    assert first.state is JobState.CANCELLED


@pytest.fixture
def pair(qtbot):
    """A runner for what is waited for, and one for long jobs that gives way to it."""
    prompt = JobRunner()
    patient = JobRunner(gives_way_to=prompt)
    yield prompt, patient
    assert patient.close(10)
    assert prompt.close(10)


def _steps(ctx, taken, enough):
    """Goes on until `enough` says so; `taken` holds one entry for each step."""
    while not enough.is_set():
        taken.append("step")
        ctx.progress(0, 0)
    return len(taken)


def test_a_long_job_gives_way_and_goes_on_afterwards(pair, qtbot):
    prompt, patient = pair
    taken, enough, overtaken = [], threading.Event(), threading.Event()

    def in_between(ctx):
        taken.append("begin")
        # Every one of these reports would let the long job take steps, if it did not wait.
        for step in range(200):
            ctx.progress(step, 200)
            overtaken.wait(0.001)
        taken.append("end")

    job = patient.submit("Long", _steps, taken, enough)
    qtbot.waitUntil(lambda: len(taken) > 3)
    short = prompt.submit("Short", in_between)
    qtbot.waitUntil(lambda: short.state is JobState.DONE)
    begin, end = taken.index("begin"), taken.index("end")
    assert end - begin <= 2, "at most the step that was under way"
    qtbot.waitUntil(lambda: len(taken) > end + 3)
    assert job.state is JobState.RUNNING
    enough.set()
    qtbot.waitUntil(lambda: job.state is JobState.DONE)


def test_a_job_that_has_given_way_can_be_cancelled(pair, qtbot):
    prompt, patient = pair
    taken, never, release = [], threading.Event(), threading.Event()
    job = patient.submit("Long", _steps, taken, never)
    qtbot.waitUntil(lambda: job.state is JobState.RUNNING)
    short = prompt.submit("Short", lambda ctx: release.wait(10))
    qtbot.waitUntil(lambda: short.state is JobState.RUNNING)
    job.cancel()
    qtbot.waitUntil(lambda: job.state is JobState.CANCELLED)
    assert short.state is JobState.RUNNING, "it did not have to end first"
    release.set()


def test_a_job_that_was_cancelled_before_it_began_holds_nobody_up(pair, qtbot):
    prompt, patient = pair
    release, results = threading.Event(), []
    prompt.submit("Short", lambda ctx: release.wait(10))
    prompt.submit("Given up", lambda ctx: None).cancel()
    job = patient.submit("Long", _count, 3, [], on_done=results.append)
    release.set()
    qtbot.waitUntil(lambda: job.state is JobState.DONE)
    assert results == [3]


def test_a_job_that_grew_faster_says_so():
    job = Job(1, "Propagate", background=False)
    assert job.rate_per_s is None
    assert job.remaining_s is None
    job.note_progress(20.0, 1, 100, "")  # the first step learns
    assert job.rate_per_s == pytest.approx(1 / 20)
    for step in range(2, 61):
        job.note_progress(20.0 + step / 2, step, 100, "")
    assert job.rate_per_s == pytest.approx(2)
    assert job.remaining_s == pytest.approx(20)
    assert len(job._reports) <= 2 * RATE_WINDOW_S + 2


def test_another_stage_counts_anew():
    job = Job(1, "Export", background=False)
    job.note_progress(1.0, 50, 50, "writing")
    job.note_progress(1.5, 0, 50, "checking")
    assert job.rate_per_s is None
    job.note_progress(2.5, 10, 50, "checking")
    assert job.rate_per_s == pytest.approx(10)


def test_time_given_to_others_is_not_counted(qtbot):
    first, reports = JobRunner(), []
    go_on, standing = threading.Event(), threading.Event()
    second = JobRunner(gives_way_to=first)

    def hold(ctx):
        standing.set()
        assert go_on.wait(30)

    def long(ctx):
        ctx.progress(0, 2)
        first.submit("Edit", hold)
        assert standing.wait(30)
        threading.Timer(1.0, go_on.set).start()
        ctx.partial(None)  # gives way for the second
        ctx.progress(2, 2)

    second.job_changed.connect(lambda job: reports.append(job._reports[-1][0]))
    job = second.submit("Propagate", long)
    qtbot.waitUntil(lambda: job.state is JobState.DONE)
    assert go_on.is_set()
    assert max(reports) < 1.0
    assert second.close(10)
    assert first.close(10)
