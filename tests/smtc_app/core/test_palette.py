"""Colours and names of objects."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from smtc_app.core.annotation import ObjectInfo
from smtc_app.core.palette import davis_palette, lookup_table, object_colour, object_name, unused_name


def test_the_palette_is_that_of_davis_masks(shared):
    with Image.open(next((shared / "data/davis/Annotations").rglob("*.png"))) as image:
        assert image.mode == "P"
        stored = np.array(image.getpalette(), np.uint8).reshape(-1, 3)
    assert np.array_equal(davis_palette()[: len(stored)], stored)


def test_the_first_entries_are_those_every_voc_user_knows():
    expected = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128)]
    assert [tuple(row) for row in davis_palette()[:6].tolist()] == expected
    assert davis_palette()[255].tolist() == [224, 224, 192]


def test_colours_go_on_after_the_palette_and_differ():
    assert object_colour(1) == (128, 0, 0)
    assert object_colour(255) == (224, 224, 192)
    for object_id in range(1, 60):
        rounds = {object_colour(object_id + 255 * turn) for turn in range(3)}
        assert len(rounds) == 3
    assert all(max(object_colour(i)) >= 64 for i in range(256, 2000)), "none may look like background"
    with pytest.raises(ValueError, match="at least 1"):
        object_colour(0)


def test_the_lookup_table_hides_background_and_invisible_objects():
    objects = [
        ObjectInfo(1, "a", colour=(9, 8, 7)),
        ObjectInfo(2, "b", visible=False),
        ObjectInfo(3, "c"),
        ObjectInfo(700, "d", colour=(1, 2, 3)),
    ]
    table = lookup_table(objects, alpha=128, hidden={3})
    assert table.shape == (701, 4)
    assert table[0].tolist() == [0, 0, 0, 0]
    assert table[1].tolist() == [9, 8, 7, 128]
    assert table[[2, 3], 3].tolist() == [0, 0]
    assert table[700].tolist() == [1, 2, 3, 128]
    assert table[50].tolist() == [*object_colour(50), 128]
    assert lookup_table([]).shape == (256, 4)


def test_names_are_new():
    assert object_name(3) == "object 3"
    assert object_name(3, {"object 3"}) == "object 2"
    assert unused_name("dog", {"cat"}) == "dog"
    assert unused_name("dog", {"dog", "dog 2"}) == "dog 3"
    assert unused_name("dog 2", {"dog 2"}) == "dog 3"
