"""Banner, job bar, labels, theme: small things that have to be right all day."""

from __future__ import annotations

import pytest
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication, QWidget

from smtc_app.jobs.runner import Job, JobState
from smtc_app.ui import banner as banner_module
from smtc_app.ui.banner import Banner
from smtc_app.ui.job_bar import JobBar, format_rate, format_time_left
from smtc_app.ui.theme import DARK, LIGHT, Theme
from smtc_app.ui.time_text import format_time


@pytest.fixture
def host(qtbot):
    widget = QWidget()
    qtbot.addWidget(widget)
    widget.resize(600, 300)
    widget.show()
    return widget


def job(**changes):
    made = Job(1, "Propagating forward", False, state=JobState.RUNNING)
    made.note_progress(2.0, 10, 40, "frame 10")
    for name, value in changes.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00.000"), (1.48, "0:01.480"), (723.007, "12:03.007"), (3723.5, "1:02:03.500")],
)
def test_times(seconds, text):
    assert format_time(seconds, 3) == text


def test_rates_and_times_left():
    assert [format_rate(r) for r in (None, 12.34, 0.4)] == ["", "12.3 frames/s", "0.40 frames/s"]
    assert [format_time_left(s) for s in (None, 7, 3723)] == ["", "0:07 left", "1:02:03 left"]


def test_the_job_bar_shows_progress_and_how_many_wait(qtbot):
    bar = JobBar()
    qtbot.addWidget(bar)
    bar.set_jobs([job(), job(), job(background=True)])
    assert "Propagating forward" in bar.text
    assert "+1 waiting" in bar.text
    assert "frames/s" in bar.text
    assert (bar._progress.value(), bar._progress.maximum()) == (10, 40)


def test_background_work_does_not_show(qtbot):
    bar = JobBar()
    qtbot.addWidget(bar)
    bar.set_jobs([job(background=True)])
    assert bar.isHidden()


def test_cancel_names_the_job(qtbot):
    bar, running = JobBar(), job()
    qtbot.addWidget(bar)
    bar.set_jobs([running])
    with qtbot.waitSignal(bar.cancel_requested) as told:
        bar._cancel.click()
    assert told.args == [running]


def test_the_button_of_a_banner_acts_and_closes_it(host):
    banner, pressed = Banner(host), []
    banner.show_message("A question", kind="error", button="Do it", slot=lambda: pressed.append(1))
    assert banner.text == "A question"
    banner._button.click()
    assert pressed == [1]
    assert banner.text == ""


def test_errors_stay_and_news_goes_by_itself(host):
    banner = Banner(host)
    banner.show_message("Saved.")
    assert banner._timer.isActive()
    banner.show_message("No space left on the disk.", kind="error")
    assert not banner._timer.isActive()


def test_a_long_message_is_wrapped_inside_its_parent(host):
    banner = Banner(host)
    banner.show_message("word " * 120, kind="warning")
    assert host.rect().contains(banner.geometry())
    assert banner._text.height() >= banner._text.heightForWidth(banner._text.width())


@pytest.fixture
def theme(qtbot):
    installed = Theme.install("dark")
    yield installed
    installed.set_choice("system")


def test_the_palette_follows_the_choice(theme):
    theme.set_choice("light")
    assert QApplication.palette().color(QPalette.ColorRole.Window) == QColor(LIGHT.window)
    theme.set_choice("dark")
    assert QApplication.palette().color(QPalette.ColorRole.Window) == QColor(DARK.window)
    with pytest.raises(ValueError, match="pink"):
        theme.set_choice("pink")


def luminance(colour):
    channels = [
        c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in QColor(colour).getRgbF()[:3]
    ]
    return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]


def contrast(first, second):
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colours", [DARK, LIGHT], ids=["dark", "light"])
def test_text_can_be_read(colours):
    """WCAG 2.1, 1.4.3: 4.5 to 1 for text."""
    for ground in (colours.window, colours.panel, colours.raised, colours.field):
        assert contrast(colours.text, ground) >= 7
        assert contrast(colours.text_soft, ground) >= 4.5
    for ground in (colours.info_fill, colours.warning_fill, colours.error_fill, colours.selection):
        assert contrast(colours.text, ground) >= 4.5
    assert contrast(colours.accent_text, colours.accent) >= 4.5
    assert contrast(colours.warning, colours.window) >= 4.5


def test_icons_have_two_resolutions(theme):
    icon = theme.icon("brush", checkable=True)
    assert icon.pixmap(20, 20).size().toTuple() == (20, 20)
    assert theme.pixmap("brush", 20, ratio=2).size().toTuple() == (40, 40)


def test_a_job_that_was_cancelled_says_so_until_it_ends(qtbot):
    bar, running = JobBar(), job()
    qtbot.addWidget(bar)
    bar.set_jobs([running])
    assert "Cancelling" not in bar.text
    running.cancel()
    bar.set_jobs([running])
    assert "Cancelling: Propagating forward" in bar.text
    assert not bar._cancel.isEnabled()
    bar.set_jobs([job()])
    assert "Cancelling" not in bar.text
    assert bar._cancel.isEnabled()


def test_a_note_with_a_button_goes_when_the_person_goes_on(host, qtbot, monkeypatch):
    banner = Banner(host)
    banner.show_message("Masks of 3 frames are there.", button="Show", slot=lambda: None)
    banner.let_go()
    assert banner.text  # nobody can have read it yet
    monkeypatch.setattr(banner_module, "LEAST_SHOWN_MS", 0)
    qtbot.waitUntil(lambda: banner._shown.hasExpired(1))
    banner.let_go()
    assert not banner.text
    banner.show_message("The disk is full.", kind="error")
    qtbot.waitUntil(lambda: banner._shown.hasExpired(1))
    banner.let_go()
    assert banner.text == "The disk is full."
