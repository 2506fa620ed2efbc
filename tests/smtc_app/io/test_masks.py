"""Importing masks of every kind people have."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image

from smtc_app.core.errors import UserError
from smtc_app.core.palette import davis_palette
from smtc_app.io.masks import object_ids, read_mask

SIZE = (160, 120)
COLOURS = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [30, 60, 250]], np.uint8)


def scene(scale: int = 1) -> np.ndarray:
    """uint8 (120 scale, 160 scale): three objects, one on top of another."""
    labels = np.zeros((120 * scale, 160 * scale), np.uint8)
    cv2.circle(labels, (50 * scale, 50 * scale), 25 * scale, 1, -1)
    cv2.ellipse(labels, (110 * scale, 75 * scale), (30 * scale, 20 * scale), 30, 0, 360, 2, -1)
    cv2.circle(labels, (60 * scale, 55 * scale), 10 * scale, 3, -1)
    return labels


def smoothed(picture: np.ndarray) -> np.ndarray:
    """A picture of `scene(4)` as a paint program scales it down: anti-aliased."""
    return cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA)


def indexed(labels: np.ndarray) -> Image.Image:
    image = Image.fromarray(labels)
    image.putpalette(davis_palette().tobytes())
    return image


def write(folder: Path, image: Image.Image | np.ndarray, name: str = "mask.png", **options) -> Path:
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    image.save(folder / name, **options)
    return folder / name


def wrong_px(labels: np.ndarray, truth: np.ndarray) -> int:
    return int(np.count_nonzero(labels != truth))


def edge_px(truth: np.ndarray) -> int:
    square = np.ones((3, 3), np.uint8)
    return int(np.count_nonzero(cv2.dilate(truth, square) != cv2.erode(truth, square)))


def test_indexed_ids_are_taken_as_they_are(tmp_path):
    labels, notes = read_mask(write(tmp_path, indexed(scene() * 7)), SIZE)
    assert labels.dtype == np.uint16
    np.testing.assert_array_equal(labels, scene() * 7)
    assert notes == []


def test_void_becomes_background_and_is_told(tmp_path):
    values = scene()
    values[:5] = 255
    labels, notes = read_mask(write(tmp_path, indexed(values)), SIZE)
    expected = scene()
    expected[:5] = 0
    np.testing.assert_array_equal(labels, expected)
    assert len(notes) == 1
    assert "255 was read as void" in notes[0]


@pytest.mark.parametrize("values", [scene(), scene() * 30])
def test_grey_values_are_ids(tmp_path, values):
    labels, notes = read_mask(write(tmp_path, values), SIZE)
    np.testing.assert_array_equal(labels, values)
    assert notes == []


def test_sixteen_bit_ids(tmp_path):
    deep = scene().astype(np.uint16) * 300
    path = write(tmp_path, deep)
    labels, _ = read_mask(path, SIZE)
    np.testing.assert_array_equal(labels, deep)
    with pytest.raises(UserError, match="holds the id 900; ids up to 254"):
        read_mask(path, SIZE, max_id=254)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_black_and_white_is_one_object(tmp_path, mode):
    inside = scene() > 0
    white = (inside * 255).astype(np.uint8)
    image = {
        "1": lambda: Image.fromarray(inside),
        "L": lambda: Image.fromarray(white),
        "P": lambda: indexed(white),
        "RGB": lambda: Image.fromarray(np.dstack([white] * 3)),
    }[mode]()
    labels, _ = read_mask(write(tmp_path, image), SIZE)
    np.testing.assert_array_equal(labels, inside)


def test_grey_levels_up_to_white_are_objects_in_order(tmp_path):
    labels, notes = read_mask(write(tmp_path, np.array([0, 85, 170, 255], np.uint8)[scene()]), SIZE)
    np.testing.assert_array_equal(labels, scene())
    assert "85 = id 1, 170 = id 2, 255 = id 3" in notes[-1]


def test_davis_colours_saved_as_rgb_keep_their_ids(tmp_path):
    labels, _ = read_mask(write(tmp_path, davis_palette()[scene() * 5]), SIZE)
    np.testing.assert_array_equal(labels, scene() * 5)


def test_colours_become_ids_and_stay_the_same_over_a_clip(tmp_path):
    colours: dict[tuple[int, int, int], int] = {}
    first, notes = read_mask(write(tmp_path, COLOURS[scene()]), SIZE, colours=colours)
    assert object_ids(first) == [1, 2, 3]
    assert "(255, 0, 0) = id 1" in notes[-1]
    flipped = scene()[::-1, ::-1]
    second, _ = read_mask(write(tmp_path, COLOURS[flipped]), SIZE, colours=colours)
    np.testing.assert_array_equal(second, first[::-1, ::-1])


def test_background_that_is_not_black_is_found_along_the_border(tmp_path):
    palette = np.array([[90, 90, 200], [255, 0, 0], [0, 255, 0], [0, 0, 0]], np.uint8)
    labels, notes = read_mask(write(tmp_path, palette[np.minimum(scene(), 2)]), SIZE)
    np.testing.assert_array_equal(labels, np.minimum(scene(), 2))
    assert any("nothing is black" in note for note in notes)


def test_thin_lines_of_a_clean_mask_survive(tmp_path):
    labels = np.zeros((120, 160), np.uint8)
    cv2.line(labels, (10, 10), (140, 100), 2, 1)
    cv2.circle(labels, (100, 30), 15, 1, -1)
    got, _ = read_mask(write(tmp_path, COLOURS[labels]), SIZE, colours={(255, 0, 0): 1, (0, 255, 0): 2})
    np.testing.assert_array_equal(got, labels)


@pytest.mark.parametrize(
    ("palette", "truth"),
    [
        (np.array([0, 255, 255, 255], np.uint8), lambda s: (s > 0).astype(np.uint8)),
        (np.array([0, 85, 170, 255], np.uint8), lambda s: s),
        (davis_palette()[:4], lambda s: s),
        (COLOURS, lambda s: np.array([0, 1, 2, 3], np.uint8)[s]),
    ],
    ids=["binary", "grey", "davis-rgb", "colours"],
)
@pytest.mark.parametrize("kind", ["smoothed", "jpeg"])
def test_smoothed_and_smeared_masks_are_repaired_and_it_is_told(tmp_path, palette, truth, kind):
    colours = {(255, 0, 0): 1, (0, 255, 0): 2, (30, 60, 250): 3}
    if kind == "smoothed":
        path = write(tmp_path, smoothed(palette[scene(4)]))
    else:
        path = write(tmp_path, palette[scene()], "mask.jpg", quality=90)
    labels, notes = read_mask(path, SIZE, colours=colours)
    expected = truth(scene())
    assert object_ids(labels) == object_ids(expected)
    assert any("repaired" in note for note in notes)
    assert wrong_px(labels, expected) <= 0.35 * edge_px(expected)
    sure = cv2.erode((expected == 0).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert not labels[sure].any()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_an_alpha_channel_that_hides_nothing_changes_nothing(tmp_path, mode):
    image = Image.fromarray(davis_palette()[scene()]).convert(mode[:-1])
    expected, _ = read_mask(write(tmp_path, image), SIZE)
    labels, notes = read_mask(write(tmp_path, image.convert(mode)), SIZE)
    np.testing.assert_array_equal(labels, expected)
    assert not any("transparent" in note for note in notes)


def test_what_is_transparent_is_background(tmp_path):
    picture = davis_palette()[scene()]
    picture[scene() == 0] = (255, 255, 255)  # what a paint program keeps under transparency
    alpha = np.where(scene() > 0, 255, 0).astype(np.uint8)
    labels, notes = read_mask(write(tmp_path, Image.fromarray(np.dstack([picture, alpha]))), SIZE)
    np.testing.assert_array_equal(labels, scene())
    assert any("transparent became background" in note for note in notes)


def test_another_size_is_refused_with_both(tmp_path):
    with pytest.raises(UserError, match="160x100 but the frames are 160x120"):
        read_mask(write(tmp_path, scene()[:100]), SIZE)


@pytest.mark.parametrize("name", ["astronaut", "camera", "coins", "chelsea"])
def test_photographs_are_refused(tmp_path, name):
    photograph = cv2.resize(getattr(skimage.data, name)(), SIZE, interpolation=cv2.INTER_AREA)
    with pytest.raises(UserError, match="picture rather than a mask"):
        read_mask(write(tmp_path, photograph), SIZE)


@pytest.mark.parametrize("content", [None, b"", b"no png", "cut"])
def test_unreadable_mask_gets_one_sentence(tmp_path, content):
    path = tmp_path / "mask.png"
    if content == "cut":
        noisy = np.random.default_rng(0).integers(0, 5, (120, 160)).astype(np.uint8)
        path.write_bytes(write(tmp_path, indexed(noisy), "whole.png").read_bytes()[:400])
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"mask\.png"):
        read_mask(path, SIZE)


def test_a_folder_is_no_mask(tmp_path):
    with pytest.raises(UserError, match="is a folder"):
        read_mask(tmp_path, SIZE)


def test_every_shared_davis_mask_is_read_as_it_is(shared):
    for path in sorted((shared / "data" / "davis" / "Annotations" / "480p").glob("*/*.png"))[::12]:
        with Image.open(path) as image:
            values = np.asarray(image)
        labels, _ = read_mask(path, (values.shape[1], values.shape[0]))
        np.testing.assert_array_equal(labels, np.where(values == 255, 0, values))
