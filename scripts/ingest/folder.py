"""
A folder with one folder for each delivery.

    FOLDER/NAME/episode.toml      a delivery, and the files that it names
    FOLDER/submitted/NAME.json    what became of it; the delivery stays, workers read it
    FOLDER/refused/NAME.json      why it was refused; FOLDER/refused/NAME is the delivery, moved

No link is followed and only regular files are opened: who may write here must not thereby read the rest of the host.
Notes appear whole, by a rename.
"""

import errno
import json
import os
import secrets
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from pipelines.errors import DeliveryError, HostError
from scripts.ingest.delivered import DOCUMENT, LARGEST, REFUSED, SUBMITTED, Look, Seen, from_data, is_name

#: Not through a link, not waiting for a pipe's writer, not into our children.
SAFELY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
#: More than any note of ours has, in bytes.
LARGEST_NOTE = 1 << 20
#: What a note ends in until it is whole, and seconds after which nobody is still writing it.
PART = ".part"
ABANDONED = 3600
#: A file that may not be read; a link or a socket where a file was a moment ago; a name that no disk takes.
SENDERS = {errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENXIO, errno.ENAMETOOLONG, errno.EINVAL}


class Folder:
    """The deliveries of a folder, and the notes about them. Raises `HostError` when it can't be used."""

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        if not self._path.is_dir():
            raise HostError(f"{path} is not a folder.", hint="Make it, or correct the path.")
        for kind in (SUBMITTED, REFUSED):
            # Better to end now than after hours of looking at a film.
            with _explained(self._path), self._notes(kind) as notes:
                if not os.access(".", os.W_OK, dir_fd=notes):
                    raise HostError(f"{self._path}/{kind} can't be written to.", hint="Let this user write there.")
                _sweep(notes)

    def home(self, name: str) -> str:
        """What stands before the relative path of a file of that delivery."""
        return f"{self._path}/{name}/"

    def names(self) -> list[str]:
        """Every delivery whose document has come, oldest first: of two for one episode the later counts."""
        found = []
        with _explained(self._path), os.scandir(self._path) as entries:
            for entry in entries:
                if is_name(entry.name) and entry.is_dir(follow_symlinks=False):
                    with suppress(FileNotFoundError, PermissionError):
                        found.append((os.lstat(self.home(entry.name) + DOCUMENT).st_mtime_ns, entry.name))
        return [name for _, name in sorted(found)]

    def look(self, name: str, paths: Iterable[str]) -> Look:
        """How those files are now. Raises `DeliveryError` when one is anything but a file, or behind a link."""
        return {path: _seen(self.home(name), path) for path in paths}

    def document(self, name: str) -> bytes:
        """The document, or as much of it as tells that it is too large."""
        path = self.home(name) + DOCUMENT
        with _judged(path):
            return _read(path, LARGEST + 1)

    def dealt_with(self, name: str) -> Look | None:
        """How the delivery looked when it was submitted, if it was."""
        with _explained(self._path), self._notes(SUBMITTED) as notes:
            try:
                return from_data(json.loads(_read(f"{name}.json", LARGEST_NOTE, within=notes)).get("look"))
            except (FileNotFoundError, ValueError):
                return None

    def accept(self, name: str, note: Mapping[str, Any]) -> None:
        with _explained(self._path), self._notes(SUBMITTED) as notes:
            _write(notes, f"{name}.json", note)

    def refuse(self, name: str, note: Mapping[str, Any]) -> None:
        """Say why, then move it out of the way: killed in between, it is refused again."""
        with _explained(self._path), self._notes(REFUSED) as notes:
            there = set(os.listdir(notes))  # noqa: PTH208 - of a descriptor, which pathlib does not take
            new = next(one for n in count(1) if (one := name if n == 1 else f"{name}-{n}") not in there)
            _write(notes, f"{new}.json", note)
            try:
                os.rename(self.home(name).rstrip("/"), new, dst_dir_fd=notes)
            except FileNotFoundError:  # another watcher was first
                os.unlink(f"{new}.json", dir_fd=notes)

    @contextmanager
    def _notes(self, kind: str) -> Iterator[int]:
        """A descriptor of the folder of that kind of notes, which is a folder and no link to another."""
        path = self._path / kind
        path.mkdir(exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | SAFELY)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def _sweep(notes: int) -> None:
    """Remove notes that were begun by watchers which were killed; a young one may be another's, about to be renamed."""
    with os.scandir(notes) as entries:
        for entry in entries:
            if entry.name.endswith(PART) and time.time() - entry.stat(follow_symlinks=False).st_mtime > ABANDONED:
                os.unlink(entry.name, dir_fd=notes)


def _seen(home: str, path: str) -> Seen | None:
    """How a file is, looked at without following any link on the way to it."""
    *folders, _ = parts = path.split("/")
    for depth in range(1, len(parts) + 1):
        with _judged(home + path):
            try:
                status = os.lstat(home + "/".join(parts[:depth]))
            except (FileNotFoundError, NotADirectoryError):
                return None
        wanted = stat.S_ISDIR if depth <= len(folders) else stat.S_ISREG
        if not wanted(status.st_mode):
            raise DeliveryError(
                f"{home}{path} is no regular file of the delivery, or is reached through a link.",
                hint="Deliver the file itself.",
            )
    return Seen(size=status.st_size, stamp=f"{status.st_mtime_ns}-{status.st_ino}")


def _read(path: str, most: int, *, within: int | None = None) -> bytes:
    with os.fdopen(os.open(path, os.O_RDONLY | SAFELY, dir_fd=within), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise DeliveryError(f"{path} is not a file.", hint="Deliver the file itself.")
        return file.read(most)


def _write(notes: int, name: str, note: Mapping[str, Any]) -> None:
    """Write a note, which appears whole, and instead of what had that name."""
    part = f".{name}.{secrets.token_hex(4)}{PART}"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | SAFELY, 0o644, dir_fd=notes)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(note, file, indent=2, ensure_ascii=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.rename(part, name, src_dir_fd=notes, dst_dir_fd=notes)
    except BaseException:
        os.unlink(part, dir_fd=notes)
        raise


@contextmanager
def _judged(path: str) -> Iterator[None]:
    """What a delivery itself is to blame for, said to who sent it. The rest is the host's."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in SENDERS:
            # A name may have any length.
            raise DeliveryError(f"{path[:500]} can't be read: {error.strerror}.", hint="Deliver it again.") from error
        raise HostError(f"{path[:500]} can't be read: {error.strerror}.", hint="Check the disk.") from error


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """What the disk answers, said to whoever runs the host; a file that is gone is the caller's matter."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise HostError(
            f"{path} can't be worked with: {error.strerror}.", hint="Check that this user may read and write there."
        ) from error
