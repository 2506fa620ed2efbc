"""Folders of images as footage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from awkward_videos import picture
from PIL import Image

from smtc_app.core.errors import UserError
from smtc_app.io.images import natural_key
from smtc_app.io.source import open_source


def save(path: Path, number: int = 0, size: tuple[int, int] = (48, 32), **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(number, size)).save(path, **options)
    return path


def test_mixed_names_come_in_natural_order_with_gaps(tmp_path):
    for number, name in ((10, "f10.PNG"), (2, "f2.png"), (9, "f9.Bmp"), (11, "f11.tif")):
        save(tmp_path / name, number)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "._f2.png").write_bytes(b"what macOS leaves behind")
    with open_source(tmp_path) as source:
        assert source.kind == "images"
        assert [source.name(i) for i in range(len(source))] == ["f2", "f9", "f10", "f11"]
        assert source.size == (48, 32)
        for index, number in enumerate((2, 9, 10, 11)):
            np.testing.assert_array_equal(source[index], picture(number, (48, 32)))
        assert source.timestamp(1) == pytest.approx(1 / source.fps)


def test_natural_key_handles_leading_zeros_and_plain_text():
    names = ["b", "a10", "a9", "a", "A010b", "7"]
    assert sorted(names, key=natural_key) == ["7", "a", "a9", "a10", "A010b", "b"]


def test_one_image_is_a_source_of_one_frame(tmp_path):
    with open_source(save(tmp_path / "still.png", 3)) as source:
        assert len(source) == 1
        np.testing.assert_array_equal(source[0], picture(3, (48, 32)))


def test_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn clockwise to show"
    save(tmp_path / "turned.png", 1, exif=exif)
    with open_source(tmp_path) as source:
        assert source.size == (32, 48)
        np.testing.assert_array_equal(source[0], np.rot90(picture(1, (48, 32)), -1))


@pytest.mark.parametrize(
    ("mode", "values", "expected"),
    [
        ("L", np.full((4, 6), 200, np.uint8), 200),
        ("I;16", np.full((4, 6), 0xABCD, np.uint16), 0xAB),
        ("1", np.ones((4, 6), bool), 255),
    ],
)
def test_grey_images_become_rgb(tmp_path, mode, values, expected):
    Image.fromarray(values).save(tmp_path / "grey.png")
    with open_source(tmp_path) as source:
        assert source[0].shape == (4, 6, 3)
        assert source[0].dtype == np.uint8
        assert (source[0] == expected).all()


def test_transparency_is_dropped(tmp_path):
    rgba = np.dstack([picture(5, (48, 32)), np.full((32, 48), 90, np.uint8)])
    Image.fromarray(rgba).save(tmp_path / "a.png")
    with open_source(tmp_path) as source:
        np.testing.assert_array_equal(source[0], rgba[..., :3])


def test_different_sizes_are_refused_by_name(tmp_path):
    save(tmp_path / "a.png")
    save(tmp_path / "b.png", size=(40, 32))
    with pytest.raises(UserError, match=r"a\.png is 48x32, b\.png is 40x32"):
        open_source(tmp_path)


def test_two_frames_of_one_name_are_refused(tmp_path):
    save(tmp_path / "a.png")
    save(tmp_path / "a.jpg")
    with pytest.raises(UserError, match=r"both a\.jpg and a\.png"):
        open_source(tmp_path)


def test_damaged_image_is_named_when_it_is_read(tmp_path):
    save(tmp_path / "a.png")
    whole = save(tmp_path / "b.png", 1).read_bytes()
    (tmp_path / "b.png").write_bytes(whole[: len(whole) // 2])
    with (
        open_source(tmp_path) as source,
        pytest.raises(UserError, match=r"b\.png is not an image.*replace it"),
    ):
        source[1]


@pytest.mark.parametrize("content", [b"", b"no image"])
def test_file_that_is_no_image_is_named_when_opened(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.png"):
        open_source(tmp_path)


def test_folder_without_images_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no images"):
        open_source(tmp_path)


def test_fingerprint_follows_the_files(tmp_path):
    save(tmp_path / "a.png")
    with open_source(tmp_path) as source:
        before = source.fingerprint()
        assert source.reopen().fingerprint() == before
    save(tmp_path / "b.png")
    with open_source(tmp_path) as source:
        assert source.fingerprint() != before


def test_davis_sequence_finds_its_masks(tmp_path):
    save(tmp_path / "JPEGImages" / "480p" / "dog" / "00000.jpg")
    masks = tmp_path / "Annotations" / "480p" / "dog"
    masks.mkdir(parents=True)
    for given in (tmp_path / "JPEGImages" / "480p" / "dog", tmp_path):
        with open_source(given) as source:
            assert (source.kind, source.annotations) == ("davis", masks)
            assert source.reopen().annotations == masks


def test_youtube_vos_layout_finds_its_masks(tmp_path):
    save(tmp_path / "JPEGImages" / "0a1b" / "00005.jpg")
    (tmp_path / "Annotations" / "0a1b").mkdir(parents=True)
    with open_source(tmp_path / "JPEGImages" / "0a1b") as source:
        assert source.annotations == tmp_path / "Annotations" / "0a1b"
        assert source.name(0) == "00005"


def test_root_of_several_sequences_names_them(tmp_path):
    for name in ("dog", "cat"):
        save(tmp_path / "JPEGImages" / "480p" / name / "00000.jpg")
    with pytest.raises(UserError, match=r"2 sequences \(cat, dog\)"):
        open_source(tmp_path)


def test_real_davis_sequences_open(shared):
    for folder in sorted((shared / "data" / "davis" / "JPEGImages" / "480p").iterdir()):
        with open_source(folder) as source:
            assert source.kind == "davis"
            assert source.annotations is not None
            last = source[len(source) - 1]
            assert last.shape == (source.size[1], source.size[0], 3)
