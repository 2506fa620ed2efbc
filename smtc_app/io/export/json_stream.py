"""JSON files larger than memory: arrays read value by value, and lists kept aside until their turn.

A long clip with many objects has millions of masks. Writers put them down as they come (`Spool` for those
that belong further back in the file), and `JsonReader` walks through a file without holding more of it than
one value.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from smtc_app.core.errors import UserError

CHUNK_BYTES = 1 << 16
_SPACE = " \t\n\r"
_ENDS = tuple(_SPACE + ",:]}")
"""What may follow a value."""


def dumps(value: Any) -> str:
    """A value as the exports write it."""
    return json.dumps(value, ensure_ascii=False)


class Spool:
    """Bytes kept on the disk, in a file without a name that vanishes with `close`."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  closed by `close`
        self.size = 0

    def append(self, data: bytes) -> int:
        """Keep some bytes; their offset."""
        offset = self.size
        self._file.write(data)
        self.size += len(data)
        return offset

    def line(self, offset: int) -> bytes:
        """What was appended there, up to its line break, without it."""
        self._file.seek(offset)
        return self._file.readline()[:-1]

    def copy_to(self, file: BinaryIO) -> None:
        """All of it, in the order in which it came."""
        self._file.seek(0)
        shutil.copyfileobj(self._file, file, CHUNK_BYTES)

    def close(self) -> None:
        self._file.close()


class JsonReader:
    """Walks through a JSON file from `offset` on: `members` of an object, `items` of an array, single values.

    What `members` or `items` comes to has to be read with one of the three, or passed with `skip`, before the
    next one. Raises UserError where the file is no JSON or another kind of value stands there.
    """

    def __init__(
        self, file: BinaryIO, path: Path, *, offset: int = 0, chunk_bytes: int = CHUNK_BYTES
    ) -> None:
        # Latin-1 keeps one character per byte, so that places in the text are places in the file; what is not
        # ASCII stands in strings only, and is put right in `value`.
        self._file, self._path, self._chunk_bytes = file, path, chunk_bytes
        self._begin, self._text, self._position, self._ended = offset, "", 0, False
        self._decoder = json.JSONDecoder()

    @property
    def offset(self) -> int:
        """Where in the file the next value begins."""
        self._peek()
        return self._begin + self._position

    def members(self) -> Iterator[str]:
        """The keys of the object that stands here."""
        self._take("{")
        if self._peek() == "}":
            self._take("}")
            return
        while True:
            key = self.value()
            if not isinstance(key, str):
                raise self._broken()
            self._take(":")
            yield key
            if self._peek() != ",":
                break
            self._take(",")
        self._take("}")

    def items(self) -> Iterator[None]:
        """Once for every value of the array that stands here, before it is read."""
        self._take("[")
        if self._peek() == "]":
            self._take("]")
            return
        while True:
            yield None
            if self._peek() != ",":
                break
            self._take(",")
        self._take("]")

    def value(self) -> Any:
        """The value that stands here, whole."""
        self._peek()
        while True:
            try:
                found, end = self._decoder.raw_decode(self._text, self._position)
            except json.JSONDecodeError as error:
                if self._ended:
                    raise self._broken() from error
                self._read_on(len(self._text))
                continue
            # A number that the text ends within, or with, goes on in the file.
            if not self._ended and self._text[end : end + 1] not in _ENDS:
                self._read_on(len(self._text))
                continue
            text = self._text[self._position : end]
            self._position = end
            return found if text.isascii() else json.loads(text.encode("latin-1"))

    def skip(self) -> None:
        """Pass the value that stands here, an array or object part by part."""
        first = self._peek()
        if first == "[":
            for _ in self.items():
                self.skip()
        elif first == "{":
            for _ in self.members():
                self.skip()
        else:
            self.value()

    def _peek(self) -> str:
        while True:
            while self._position < len(self._text) and self._text[self._position] in _SPACE:
                self._position += 1
            if self._position < len(self._text):
                return self._text[self._position]
            if not self._read_on(0):
                return ""

    def _take(self, character: str) -> None:
        if self._peek() != character:
            raise self._broken()
        self._position += 1

    def _read_on(self, at_least: int) -> bool:
        """Drop what was passed, and have more of the file; False at its end."""
        if self._ended:
            return False
        self._begin += self._position
        self._text, self._position = self._text[self._position :], 0
        self._file.seek(self._begin + len(self._text))
        # Twice as much each time, so that a long value is not looked at again and again.
        more = self._file.read(max(self._chunk_bytes, at_least))
        self._ended = not more
        self._text += more.decode("latin-1")
        return bool(more)

    def _broken(self) -> UserError:
        return UserError(
            f"{self._path.name} does not read back as it was written (byte {self._begin + self._position}): "
            "the disk may be full or failing; free some space and export again."
        )
