"""Masks find their frames, and objects their names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from awkward_videos import picture
from PIL import Image

from smtc_app.core.errors import UserError
from smtc_app.core.import_commands import ObjectHint
from smtc_app.io.davis import write_mask
from smtc_app.io.mask_folder import match_masks, object_hints, read_masks
from smtc_app.io.source import open_source

SIZE = (24, 16)


@pytest.fixture
def source(tmp_path: Path):
    folder = tmp_path / "park"
    folder.mkdir()
    for number in range(4):
        Image.fromarray(picture(number, SIZE)).save(folder / f"shot{number * 5}.png")
    with open_source(folder) as opened:
        yield opened


def put(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        labels = np.zeros(SIZE[::-1], np.uint16)
        labels[2:6, 2:6] = 1
        write_mask(folder / name, labels)
    return folder


def names(masks: dict[int, Path]) -> dict[int, str]:
    return {frame: path.name for frame, path in masks.items()}


def test_masks_are_matched_by_name(source, tmp_path):
    masks, notes = match_masks(put(tmp_path / "m", "shot5.png", "shot15.png", "other.png"), source)
    assert names(masks) == {1: "shot5.png", 3: "shot15.png"}
    assert notes == ["1 of 3 masks have no frame of their name."]
    assert match_masks(put(tmp_path / "n", "shot0.png"), source)[1] == []


def test_or_by_number_or_in_order_and_that_is_told(source, tmp_path):
    masks, notes = match_masks(put(tmp_path / "m", "00001.png", "3.png"), source)
    assert names(masks) == {1: "00001.png", 3: "3.png"}
    assert "numbers were taken as indices" in notes[0]
    masks, notes = match_masks(put(tmp_path / "n", "a2.png", "a10.png", "a1.png", "a3.png"), source)
    assert names(masks) == {0: "a1.png", 1: "a2.png", 2: "a3.png", 3: "a10.png"}
    assert "in order" in notes[0]


def test_what_cannot_belong_is_refused(source, tmp_path):
    with pytest.raises(UserError, match=r"2 images in .* fit the 4 frames neither by name"):
        match_masks(put(tmp_path / "m", "a.png", "b.png"), source)
    with pytest.raises(UserError, match="holds no mask images"):
        match_masks(tmp_path, source)


def test_notes_do_not_repeat_for_every_mask(source, tmp_path):
    folder = tmp_path / "m"
    folder.mkdir()
    for index in range(4):
        white = np.zeros(SIZE[::-1], np.uint8)
        white[2:6, 2:6] = 255
        Image.fromarray(white).save(folder / f"{index}.png")
    masks, _ = match_masks(folder, source)
    notes: list[str] = []
    read = dict(read_masks(masks, SIZE, notes))
    assert [int(labels.max()) for labels in read.values()] == [1] * 4
    assert len(notes) == 4
    assert notes[-1] == "The same or the like goes for 1 more masks."


def test_a_colour_is_the_same_object_in_all_masks(source, tmp_path):
    folder = tmp_path / "m"
    folder.mkdir()
    for index, colour in enumerate([(250, 30, 30), (30, 250, 30), (250, 30, 30), (30, 30, 250)]):
        image = np.zeros((*SIZE[::-1], 3), np.uint8)
        image[2:9, 2:9] = colour
        Image.fromarray(image).save(folder / f"{index}.png")
    masks, _ = match_masks(folder, source)
    assert [int(labels.max()) for _, labels in read_masks(masks, SIZE, [])] == [1, 2, 1, 3]


def test_names_come_from_what_lies_beside(tmp_path):
    folder = put(tmp_path / "root" / "Annotations" / "park", "shot0.png")
    assert object_hints(folder) == {}
    meta = {"videos": {"park": {"objects": {"2": {"category": "dog", "frames": ["shot0"]}}}}}
    (tmp_path / "root" / "meta.json").write_text(json.dumps(meta))
    assert object_hints(folder) == {2: ObjectHint(category="dog")}
    told = {"format": "smtc-provenance", "objects": [{"id": 1, "name": "Rex", "category": "dog"}]}
    (folder / "provenance.json").write_text(json.dumps(told))
    assert object_hints(folder) == {1: ObjectHint("Rex", "dog")}
    (folder / "provenance.json").write_text(json.dumps({**told, "objects": [{"id": "x"}]}))
    assert object_hints(folder) == {2: ObjectHint(category="dog")}
    (tmp_path / "root" / "meta.json").write_text("[")
    assert object_hints(folder) == {}
