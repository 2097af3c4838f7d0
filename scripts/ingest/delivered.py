"""
What somebody put there, as far as it can be judged before any media is opened.

Pure. A delivery that arrives by itself was written by a stranger: it may be unfinished, damaged or hostile. It names
files of its own folder or prefix and nothing else, or a document could have us publish somebody else's film.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.delivery import Delivery
from pipelines.errors import DeliveryError, undeliverable
from presets.document import DocumentError, parse

#: What comes last, and says what has come.
DOCUMENT = "episode.toml"
#: Bytes of a document, and characters of a line of it: ten times the largest that makes sense. A TOML reader takes
#: time that grows with the square of a dotted key.
LARGEST = 256 << 10
LONGEST_LINE = 2048
#: Where notes are kept, beside the deliveries.
SUBMITTED, REFUSED = "submitted", "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One file or object at one look. Whatever is written to it changes this."""

    size: int
    #: Time of its last change and inode; or ETag.
    stamp: str


#: The files of a delivery by their path in it; None: not there.
Look = Mapping[str, Seen | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A delivery at one look."""

    look: Look
    #: With paths that are relative to it, once it can be read.
    delivery: Delivery | None = None
    #: Why it can never be submitted like this.
    fault: DeliveryError | None = None

    @property
    def missing(self) -> list[str]:
        """What it names and what has not come yet."""
        return [path for path, seen in self.look.items() if seen is None]


@dataclass(slots=True, kw_only=True)
class Waiting:
    """A delivery that has not been dealt with, and since when it looks as it does. Seconds of a monotonic clock."""

    look: Look
    since: float
    #: How often its submission failed of something that is not its fault.
    tries: int = 0
    not_before: float = 0.0


def is_name(name: str) -> bool:
    """Whether a folder of that name is looked into. It goes into notes' names, logs and commands."""
    return bool(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,99}", name)) and name not in (SUBMITTED, REFUSED)


def parsed(text: bytes, *, home: str) -> Delivery:
    """The delivery that a document describes, its files relative to `home`. Raises `DeliveryError`."""
    name = home + DOCUMENT
    if len(text) > LARGEST or any(len(line) > LONGEST_LINE for line in text.splitlines()):
        raise DeliveryError(
            f"{name} is larger than any {DOCUMENT}, or has a line that is.",
            hint=f"At most {LARGEST >> 10} KiB, in lines of at most {LONGEST_LINE} bytes: check which file that is.",
        )
    try:
        delivery = parse(Delivery, text.decode(), name=name)
    except UnicodeDecodeError as error:
        raise DeliveryError(f"{name} is not UTF-8 text.", hint="Save it as UTF-8.") from error
    except DocumentError as error:
        raise undeliverable(error) from error
    return delivery.placed(lambda file: _within(file, home))


def files(delivery: Delivery) -> list[str]:
    """What a delivery consists of: every file that it names once, and first its document."""
    return list(dict.fromkeys([DOCUMENT, *(source.file for source in delivery.sources if source.file)]))


def as_data(look: Look) -> dict[str, list[int | str] | None]:
    """A look, as a note keeps it."""
    return {path: [seen.size, seen.stamp] if seen else None for path, seen in look.items()}


def from_data(kept: object) -> dict[str, Seen | None] | None:
    """The look that a note keeps; None if that is not one."""
    if not isinstance(kept, Mapping):
        return None
    return {path: Seen(size=seen[0], stamp=seen[1]) if seen else None for path, seen in kept.items()}


def _within(file: str, home: str) -> str:
    """`file` relative to `home`. Raises `DeliveryError` when it is anywhere else."""
    path = file.removeprefix(home)
    if "://" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise DeliveryError(
            f"{home}{DOCUMENT} names `{file}`, which is not in the delivery.",
            hint="Put it beside the document, and name it relative to that.",
        )
    return path
