"""What viewers are offered before and after, for people and for programs."""

from collections.abc import Iterator
from typing import Any

from pipelines.offer import Offer
from pipelines.wire import to_data
from scripts.avant.console import print_table


def offer_told(offer: Offer) -> dict[str, Any]:
    """For programs."""
    told: dict[str, Any] = to_data(offer)
    return told


def print_offers(title: str, had: Offer, gets: Offer) -> None:
    """A table on stdout: what new sessions are offered now, and then."""
    print_table(("", "before", "after"), _rows(had, gets), title=title)


def _rows(had: Offer, gets: Offer) -> Iterator[tuple[str, str, str]]:
    yield "version", _or_none([had.version]), _or_none([gets.version])
    yield "rungs", _or_none(map(str, had.rungs)), _or_none(map(str, gets.rungs))
    yield "audio", _or_none(had.audio), _or_none(gets.audio)
    yield "default", _or_none([had.default]), _or_none([gets.default])
    yield "text", _or_none(had.text), _or_none(gets.text)


def _or_none(words: Any) -> str:
    return ", ".join(word for word in words if word) or "none"
