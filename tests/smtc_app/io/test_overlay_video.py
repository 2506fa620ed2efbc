"""The video people look at."""

from __future__ import annotations

import numpy as np
import pytest
from awkward_videos import picture

from smtc_app.core.errors import UserError
from smtc_app.io.overlay_video import OverlayVideo, draw_overlay
from smtc_app.io.source import open_source


def labels_for(size: tuple[int, int]) -> np.ndarray:
    labels = np.zeros((size[1], size[0]), np.uint16)
    labels[8:24, 8:24] = 1
    return labels


def test_objects_are_tinted_and_the_rest_is_untouched():
    frame = picture(1, (48, 32))
    labels = labels_for((48, 32))
    drawn = draw_overlay(frame, labels)
    np.testing.assert_array_equal(drawn[labels == 0], frame[labels == 0])
    inside = frame[10:22, 10:22] * 0.5 + np.array([64, 0, 0])
    np.testing.assert_allclose(drawn[10:22, 10:22], inside, atol=1)


def test_odd_sizes_and_uneven_times_are_kept(tmp_path):
    size = (49, 33)
    times = [5.0, 5.5, 5.6, 7.0]
    path = tmp_path / "overlay.mp4"
    with OverlayVideo(path, size, fps=25) as video:
        for number, time in enumerate(times):
            video.write(picture(number, size), labels_for(size), time)
    with open_source(path) as source:
        assert source.size == (50, 34)
        assert len(source) == 4
        shown = [source.timestamp(i) - source.timestamp(0) for i in range(4)]
        assert shown == pytest.approx([0, 0.5, 0.6, 2.0], abs=1e-3)
        expected = draw_overlay(picture(2, size), labels_for(size))
        assert np.abs(source[2][:33, :49].astype(int) - expected).mean() < 12


def test_the_same_pictures_always_give_the_same_file(tmp_path):
    size = (64, 48)
    rows, columns = np.mgrid[: size[1], : size[0]]
    pictures = [
        np.stack([columns * 3 + i * 5, rows * 4 + i * 3, rows + columns + i * 9], 2).astype(np.uint8)
        for i in range(6)
    ]
    files = set()
    for number in range(40):
        rng = np.random.default_rng(number)
        # Freed memory with something in it: an encoder that reads what it has not written shows here.
        left = [rng.integers(0, 256, count, dtype=np.uint8) for count in rng.integers(500, 90_000, 60)]
        del left[::2]
        path = tmp_path / "overlay.mp4"
        with OverlayVideo(path, size) as video:
            for drawn in pictures:
                video.write_picture(drawn)
        files.add(path.read_bytes())
    assert len(files) == 1


def test_an_interrupted_video_leaves_nothing_behind(tmp_path):
    path = tmp_path / "overlay.mp4"
    with pytest.raises(KeyboardInterrupt), OverlayVideo(path, (48, 32)) as video:  # noqa: PT012
        video.write(picture(0, (48, 32)), labels_for((48, 32)))
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_unwritable_place_is_told(tmp_path):
    with pytest.raises(UserError, match="cannot be written"):
        OverlayVideo(tmp_path / "nowhere" / "overlay.mp4", (48, 32))
