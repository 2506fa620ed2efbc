"""A JSON file is walked through in pieces of any size and gives what reading it whole gives."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtc_app.core.errors import UserError
from smtc_app.io.export.json_stream import JsonReader, Spool

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


def reader_of(text, chunk_bytes=3, offset=0):
    return JsonReader(io.BytesIO(text.encode()), Path("x.json"), offset=offset, chunk_bytes=chunk_bytes)


@settings(deadline=None, max_examples=60)
@given(st.lists(VALUES), st.integers(1, 9), st.booleans())
def test_items_are_those_of_the_whole_file(values, chunk_bytes, ascii_only):
    text = json.dumps({"before": [values, "\N{SNOWMAN}"], "wanted": values}, ensure_ascii=ascii_only)
    reader, found, places = reader_of(text, chunk_bytes), [], []
    for key in reader.members():
        if key == "before":
            reader.skip()
            continue
        for _ in reader.items():
            places.append(reader.offset)
            found.append(reader.value())
    assert found == values
    assert [reader_of(text, chunk_bytes, place).value() for place in places] == values


@pytest.mark.parametrize(
    "text", ["", "[1, 2", "[1 2]", "{1: 2}", '{"a" 1}', '["abc', "[tru]", '{"a": 1,', '"a"']
)
def test_what_is_cut_off_or_damaged_is_told(text):
    def read():
        reader = reader_of(text)
        return [reader.value() for _ in (reader.members() if text.startswith("{") else reader.items())]

    with pytest.raises(UserError, match=r"x\.json does not read back"):
        read()


def test_a_spool_gives_lines_back_and_all_of_it(tmp_path):
    spool = Spool(tmp_path)
    places = [spool.append(line) for line in (b"first\n", b"\n", b"third\n")]
    assert [spool.line(place) for place in reversed(places)] == [b"third", b"", b"first"]
    whole = io.BytesIO()
    spool.copy_to(whole)
    assert whole.getvalue() == b"first\n\nthird\n"
    spool.close()
    assert list(tmp_path.iterdir()) == []
