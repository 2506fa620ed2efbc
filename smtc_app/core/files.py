"""Writing files so that at any moment, power cuts included, there is the old one or the new one, whole."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path` by `data`: a temporary file beside it, flushed to the disk, then renamed.

    Raises OSError with the old file untouched and no temporary file left.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write_durably(temporary, data)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_durably(path: Path, data: bytes) -> None:
    """Write a file and wait until the disk has it. Raises OSError."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable, where the system can (Windows cannot, and need not, open folders)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network and overlay file systems refuse to sync folders; the rename itself has happened.
        if error.errno not in (errno.EINVAL, errno.EBADF, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def why(error: OSError) -> str:
    """The reason of a failed write or read as the end of a sentence: what is wrong and what helps."""
    reasons = {
        errno.ENOSPC: "the disk is full; free some space and try again",
        errno.EDQUOT: "the disk quota is used up; free some space and try again",
        errno.EROFS: "the disk is read-only; choose another place",
        errno.EACCES: "permission denied; choose another place or change the permissions",
        errno.EPERM: "permission denied; choose another place or change the permissions",
        errno.ENOENT: "there is no such file or folder; check the path",
        errno.EISDIR: "a folder of that name is in the way; rename or remove it",
        errno.ENOTDIR: "a file is where a folder should be; rename or remove it, or choose another place",
        errno.EEXIST: "something of that name is in the way; rename or remove it",
        errno.ENOTEMPTY: "something of that name is in the way; rename or remove it",
        errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
        errno.EIO: "the disk reports an error; check it, and choose another place",
        errno.EFBIG: "the disk takes no file that large; choose another place",
    }
    return reasons.get(error.errno or 0, f"{(error.strerror or str(error)).lower()}; choose another place")
