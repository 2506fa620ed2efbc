"""One writer per project: a lock file that names who holds it and that no crash can leave locked.

The operating system's lock on the open file is what counts; it ends with its process, kill -9 included. The
name in the file is for people, and for folders shared between machines, where system locks may not reach: a
lock that names another machine is respected until somebody decides to take it over.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from smtc_app.core.errors import UserError
from smtc_app.core.files import why

logger = logging.getLogger(__name__)

LOCK_NAME = "lock"


class ProjectInUseError(UserError):
    """Somebody else has the project open; `pid` and `host` where known."""

    def __init__(self, message: str, *, pid: int | None, host: str | None) -> None:
        super().__init__(message)
        self.pid, self.host = pid, host


class ProjectLock:
    """The right to write into a project folder, as a context manager or with `acquire` and `release`."""

    _held: dict[Path, ProjectLock] = {}  # noqa: RUF012  all locks of this process
    _guard = threading.Lock()

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._path = self.folder / LOCK_NAME
        self._file: IO[bytes] | None = None

    @classmethod
    def held_here(cls, folder: Path) -> bool:
        """Whether this process holds the lock of a folder."""
        with cls._guard:
            return folder.resolve() in cls._held

    def acquire(self, *, take_over: bool = False) -> Self:
        """Lock the folder, which must exist.

        take_over  ignore a lock that another machine left; one of this machine's living processes is never
                   ignored

        Raises ProjectInUseError when another process, machine or window has it; UserError when the folder
        takes no file.
        """
        with self._guard:
            if self.folder in self._held:
                raise ProjectInUseError(
                    f"{self.folder.name} is already open in another window: use that one, or close it first.",
                    pid=os.getpid(),
                    host=socket.gethostname(),
                )
            try:
                file = self._open_locked()
            except OSError as error:
                raise UserError(f"The project {self.folder} cannot be locked: {why(error)}.") from error
            owner = _owner(file)
            here = owner.get("host") in (None, socket.gethostname())
            if not here and not take_over:
                file.close()
                raise ProjectInUseError(
                    f"{self.folder.name} was opened on {owner['host']} (process {owner.get('pid')}, "
                    f"{owner.get('since', 'some time ago')}) and not closed: close it there, or take it over "
                    "if you are sure that it is no longer open.",
                    pid=owner.get("pid"),
                    host=owner.get("host"),
                )
            if owner:
                logger.info("took over the lock of %s from %s", self.folder, owner)
            _write_owner(file)
            self._file = file
            self._held[self.folder] = self
            return self

    def release(self) -> None:
        """Give the folder back; nothing happens when it is not held."""
        with self._guard:
            if self._file is None:
                return
            self._held.pop(self.folder, None)
            try:
                # While still locked, so that nobody else can have opened and locked this very file.
                self._path.unlink(missing_ok=True)
            except OSError as error:
                logger.warning("the lock file %s stays: %s", self._path, error)
            finally:
                self._file.close()
                self._file = None

    def __enter__(self) -> Self:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _open_locked(self) -> IO[bytes]:
        while True:
            file = open(self._path, "a+b")  # noqa: SIM115  stays open as long as the lock
            try:
                locked = _lock(file)
                if locked:
                    # Its last holder may have removed the file between our open and our lock.
                    try:
                        current = os.path.samestat(os.stat(self._path), os.fstat(file.fileno()))
                    except FileNotFoundError:
                        current = False
                    if current:
                        return file
                else:
                    owner = _owner(file)
                    raise ProjectInUseError(
                        f"{self.folder.name} is open in another window (process "
                        f"{owner.get('pid', 'unknown')} on {owner.get('host', 'this machine')}): use that "
                        "one, or close it first.",
                        pid=owner.get("pid"),
                        host=owner.get("host"),
                    )
            except BaseException:
                file.close()
                raise
            file.close()


def _owner(file: IO[bytes]) -> dict:
    file.seek(0)
    try:
        owner = json.loads(file.read() or b"{}")
    except ValueError:
        return {}  # cut short by a crash: the system's lock has decided already
    return owner if isinstance(owner, dict) else {}


def _write_owner(file: IO[bytes]) -> None:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
    file.seek(0)
    file.truncate()
    file.write(json.dumps(owner).encode())
    file.flush()


if os.name == "nt":
    import msvcrt

    def _lock(file: IO[bytes]) -> bool:
        file.seek(1 << 20)  # beyond the text, which others must be able to read
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
