"""
What viewers read in a player's menu, and which sound they hear if they never open it.

A language is called what those who speak it call it; what sets a rendition apart is said in the short marks that
broadcasters use everywhere.
"""

from collections.abc import Iterable, Sequence
from typing import TypeVar

import langcodes

from pipelines.track import AudioTrack, TextTrack, Track

MARKS = {"description": "AD", "commentary": "commentary", "sdh": "SDH", "forced": "forced"}

AnyTrack = TypeVar("AnyTrack", bound=Track)


def of_kind(tracks: Iterable[Track], kind: type[AnyTrack]) -> list[AnyTrack]:
    """Those of the tracks that are of the kind, in their order."""
    return [track for track in tracks if isinstance(track, kind)]


def what(track: AudioTrack | TextTrack) -> tuple[str, str]:
    """The language, and what it is to viewers: an episode has no two of both the same."""
    return track.language, track.role if isinstance(track, AudioTrack) else track.text_kind


def names(tracks: Iterable[AudioTrack | TextTrack]) -> dict[tuple[str, str], str]:
    """The name of each rendition, by language and role or kind; no two are the same."""
    kinds = list(dict.fromkeys(what(track) for track in tracks))
    plain = [_plain(*kind) for kind in kinds]
    return {
        kind: name if plain.count(name) == 1 else f"{name} [{' '.join(kind)}]"
        for kind, name in zip(kinds, plain, strict=True)
    }


def default(sounds: Sequence[AudioTrack], language: str) -> tuple[str, str]:
    """The language and role that players pick: the original in `language`, or what is nearest to it."""
    roles = ("original", "dub", "commentary", "description")
    nearest = min(
        sounds, key=lambda sound: (roles.index(sound.role) > 1, sound.language != language, roles.index(sound.role))
    )
    return what(nearest)


def _plain(language: str, kind: str) -> str:
    autonym = langcodes.Language.get(language).autonym()
    name = autonym[:1].upper() + autonym[1:]
    return f"{name} – {MARKS[kind]}" if kind in MARKS else name
