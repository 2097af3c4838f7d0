"""
What viewers are offered, read back from entry points: what an operator is shown before and after a lever.

It is read as a player reads it, so that what is shown is what is served, and not what somebody meant to serve.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lxml import etree

from pipelines import layout
from pipelines.manifests.dash import NAMESPACE, TEXT_ROLES
from pipelines.trim import framed

_NAMES = {"": NAMESPACE}
_KINDS = {role: kind for kind, role in TEXT_ROLES.items()}


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class OfferedRung:
    """A rung as an MPD has it."""

    #: Bits per second at its peak: what a cap in bits is compared with.
    bitrate: int
    #: Of the 16:9 frame, in pixels: what a cap in pixels is compared with.
    height: int

    def __str__(self) -> str:
        return f"{self.height}p ({self.bitrate / 1e6:.2f} Mb/s)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """All that a new session may choose from."""

    #: Public name of the version; empty: nothing is offered.
    version: str = ""
    #: The lowest first.
    rungs: tuple[OfferedRung, ...] = ()
    #: Languages of sound in all roles, in the order of the manifest. BCP 47.
    audio: tuple[str, ...] = ()
    #: The one that players pick unless the viewer chose.
    default: str = ""
    #: `fr subtitles`, `de forced`.
    text: tuple[str, ...] = ()


NOTHING = Offer()


def offered(bodies: Mapping[str, bytes]) -> Offer:
    """What entry points offer, by file name; `NOTHING` of those that say "not yet"."""
    told = json.loads(bodies[layout.RELEASE])
    if told["state"] != "released":
        return NOTHING
    # Our own words: they hold no entities, and nothing is fetched for them.
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    presentation = etree.fromstring(bodies[layout.MPD], parser)
    sound = _sets(presentation, "audio")
    return Offer(
        version=told["version"],
        rungs=tuple(sorted(_rungs(presentation))),
        audio=tuple(dict.fromkeys(each.get("lang", "") for each in sound)),
        default=next((each.get("lang", "") for each in sound if _role(each) == "main"), ""),
        text=tuple(f"{each.get('lang')} {_KINDS[_role(each)]}" for each in _sets(presentation, "text")),
    )


def changes(before: Offer, after: Offer) -> tuple[str, ...]:
    """A line for each thing that a new session finds otherwise than before."""
    return (
        *([f"version {after.version}, not {before.version}"] if before.version not in ("", after.version) else []),
        *_listed("rung", [str(each) for each in before.rungs], [str(each) for each in after.rungs]),
        *_listed("audio", before.audio, after.audio),
        *([f"default language {after.default}, not {before.default}"] if _switched(before, after) else []),
        *_listed("text", before.text, after.text),
    )


def _switched(before: Offer, after: Offer) -> bool:
    return bool(before.default) and before.default != after.default


def _listed(what: str, before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    yield from (f"- {what} {each}" for each in before if each not in after)
    yield from (f"+ {what} {each}" for each in after if each not in before)


def _sets(presentation: etree._Element, kind: str) -> list[etree._Element]:
    return presentation.findall(f"Period/AdaptationSet[@contentType='{kind}']", _NAMES)


def _rungs(presentation: etree._Element) -> Iterator[OfferedRung]:
    for adaptation in _sets(presentation, "video"):
        for each in adaptation.findall("Representation", _NAMES):
            width, height = int(each.get("width", 0)), int(each.get("height", 0))
            yield OfferedRung(bitrate=int(each.get("bandwidth", 0)), height=round(framed(width, height)))


def _role(adaptation: etree._Element) -> str:
    found = adaptation.find("Role", _NAMES)
    return "" if found is None else found.get("value", "")
