"""
What an operator can do to what viewers get, decided: the next trim, or the version to go back to.

Nothing here touches anything. Asking for what is so already gives the same again, so that a command that was cut off
can be repeated.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pipelines.errors import ReleaseError
from pipelines.trim import Trim


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A ref that was moved, as the trail tells it."""

    #: Digest of the version from there on; empty: one that the ledger has forgotten.
    version: str
    #: Whether it went to a version that viewers had before.
    back: bool


def withdrawn(trim: Trim, language: str, languages: Sequence[str]) -> Trim:
    """Without a language, of those that the version has sound in. Raises `ReleaseError` for any other."""
    if language not in (*languages, *trim.withdrawn):
        raise _unknown(f"There is no sound in `{language}`; there is", language, languages)
    return replace(trim, withdrawn=tuple(sorted({*trim.withdrawn, language})))


def restored(trim: Trim, language: str, languages: Sequence[str]) -> Trim:
    """With a language again. Raises `ReleaseError` for one that was never there."""
    if language not in (*languages, *trim.withdrawn):
        raise _unknown(f"`{language}` was not withdrawn; withdrawn is", language, trim.withdrawn)
    return replace(trim, withdrawn=tuple(each for each in trim.withdrawn if each != language))


def capped(trim: Trim, *, height: int | None, bitrate: int | None) -> Trim:
    """With no rung above either, in pixels and bits per second; a cap of the other kind stays."""
    return replace(trim, max_height=height or trim.max_height, max_bitrate=bitrate or trim.max_bitrate)


def uncapped(trim: Trim) -> Trim:
    """With all its rungs again."""
    return replace(trim, max_height=None, max_bitrate=None)


def previous(moves: Iterable[Moved], current: str) -> str | None:
    """
    Digest of the version that viewers had before `current`; `moves` with the first first.

    Who has gone back goes further back, not to what was just left.
    """
    had: list[str] = []
    for move in moves:
        if move.back:
            had = _until(had, move.version)
        if had[-1:] != [move.version]:
            had.append(move.version)
    return next((version for version in reversed(_until(had, current)[:-1]) if version), None)


def _until(had: list[str], version: str) -> list[str]:
    """What viewers had, up to the last time that it was `version`, that included."""
    while version in had and had[-1] != version:
        had = had[:-1]
    return had if version in had else [*had, version]


def _unknown(what: str, language: str, known: Sequence[str]) -> ReleaseError:
    # Of two letters each is near to any other: nobody who typed `es` at night is to be offered `en`.
    meant = next((each for each in known if each.lower()[:2] == language.lower()[:2]), None)
    listed = ", ".join(f"`{each}`" for each in known) or "nothing"
    return ReleaseError(f"{what} {listed}.", hint=f"Did you mean `{meant}`?" if meant else "")
