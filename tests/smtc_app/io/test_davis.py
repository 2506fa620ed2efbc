"""What is exported reads back equal, and nothing of anyone else's is overwritten."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest
from awkward_videos import picture
from PIL import Image

from smtc_app.core.errors import UserError
from smtc_app.core.palette import davis_palette
from smtc_app.io.davis import DavisWriter, prepare_output, write_mask
from smtc_app.io.source import open_source

SIZE = (48, 32)


@pytest.fixture
def source(tmp_path: Path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in (3, 7, 20):
        Image.fromarray(picture(number, SIZE)).save(folder / f"shot{number}.png")
    with open_source(folder) as opened:
        yield opened


def labels_of(index: int) -> np.ndarray:
    labels = np.zeros((SIZE[1], SIZE[0]), np.uint16)
    labels[4:12, 4 + index : 20 + index] = 2
    labels[20:28, 30:40] = 9
    return labels


def write_all(out: Path, source, *, frames=range(3), overwrite: bool = False, labels=labels_of) -> None:
    writer = DavisWriter(prepare_output(out, overwrite=overwrite, source=source), source)
    for index in frames:
        writer.write(index, labels(index))
    writer.finish()


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.mode == "P"
        return np.asarray(image)


def test_masks_have_the_palette_and_the_frames_are_listed(source, tmp_path):
    out = tmp_path / "out"
    write_all(out, source)
    assert sorted(p.name for p in out.iterdir()) == ["frames.csv", "shot20.png", "shot3.png", "shot7.png"]
    for index, name in enumerate(("shot3", "shot7", "shot20")):
        np.testing.assert_array_equal(read(out / f"{name}.png"), labels_of(index))
    with Image.open(out / "shot3.png") as image:
        assert image.size == SIZE
        palette = np.asarray(image.getpalette()).reshape(-1, 3)
    np.testing.assert_array_equal(palette, davis_palette())
    with (out / "frames.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["index"], row["name"]) for row in rows] == [("0", "shot3"), ("1", "shot7"), ("2", "shot20")]
    assert float(rows[2]["timestamp"]) == pytest.approx(source.timestamp(2), abs=1e-6)
    assert rows[1]["hash"] == hashlib.sha256(picture(7, SIZE).tobytes()).hexdigest()


def test_same_labels_give_the_same_bytes(source, tmp_path):
    for name in ("a", "b"):
        write_all(tmp_path / name, source)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_ids_above_254_are_refused(source, tmp_path):
    many = np.arange(SIZE[0] * SIZE[1], dtype=np.uint16).reshape(SIZE[1], SIZE[0]) % 300
    with pytest.raises(UserError, match=r"299 does not fit a DAVIS mask.*merge or delete"):
        write_mask(tmp_path / "m.png", many)
    assert not (tmp_path / "m.png").exists()


def test_a_folder_that_holds_something_is_left_alone(source, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match=r"already holds thesis\.txt"):
        write_all(out, source)
    assert [p.name for p in out.iterdir()] == ["thesis.txt"]


def test_overwriting_replaces_an_earlier_export_and_nothing_else(source, tmp_path):
    out = tmp_path / "out"
    write_all(out, source)
    (out / "thesis.txt").write_text("years of work")
    (out / "mine.png").write_bytes(b"another picture")
    write_all(out, source, frames=[0], overwrite=True)
    assert sorted(p.name for p in out.iterdir()) == ["frames.csv", "mine.png", "shot3.png", "thesis.txt"]


def test_a_listing_never_reaches_outside_its_folder(source, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    victim = tmp_path / "victim.png"
    victim.write_bytes(b"precious")
    (out / "frames.csv").write_text("index,name,timestamp,hash\n0,../victim,0,x\n")
    write_all(out, source, overwrite=True)
    assert victim.read_bytes() == b"precious"


def test_the_source_is_never_the_output(source):
    with pytest.raises(UserError, match="holds the source itself"):
        write_all(source.path, source, overwrite=True)


def test_a_file_is_no_output_folder(source, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UserError, match="is a file"):
        prepare_output(tmp_path / "out")
    with pytest.raises(UserError, match="cannot be written"):
        prepare_output(tmp_path / "out" / "below")


def test_writer_refuses_another_size(source, tmp_path):
    writer = DavisWriter(prepare_output(tmp_path / "out"), source)
    with pytest.raises(UserError, match="are 10x5 but the frames are 48x32"):
        writer.write(0, np.zeros((5, 10), np.uint16))


def test_no_temporary_file_stays(source, tmp_path):
    write_all(tmp_path / "out", source)
    with pytest.raises(UserError, match="cannot be written"):
        write_mask(tmp_path / "nowhere" / "m.png", labels_of(0))
    assert not list(tmp_path.rglob("*.tmp"))


def test_shared_masks_survive_the_round_trip(shared, tmp_path):
    folder = shared / "data" / "davis" / "JPEGImages" / "480p" / "ytvos-003234408d-180p"
    with open_source(folder) as sequence:
        masks = {p.stem: read(p) for p in sequence.annotations.glob("*.png")}
        blank = np.zeros((sequence.size[1], sequence.size[0]), np.uint16)
        write_all(
            tmp_path / "out",
            sequence,
            frames=range(len(sequence)),
            labels=lambda i: masks.get(sequence.name(i), blank).astype(np.uint16),
        )
    for name, values in masks.items():
        np.testing.assert_array_equal(read(tmp_path / "out" / f"{name}.png"), values)
