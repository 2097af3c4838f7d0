"""Whether two hits were of one copy, by what edges of each kind tell."""

from datetime import UTC, datetime, timedelta

import pytest

from pipelines.tools.edge import Answer
from pipelines.version import Item
from pipelines.warm import Edge, Kind
from pipelines.warm.judge import same_copy
from pipelines.warm.sweep import Ask, Heard

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
ASK = Ask(index=0, item=Item(key="t/a/00001.m4s", size=1, sha256=""), headers={})
Headers = dict[str, str]


def heard(headers: Headers, seconds: float) -> Heard:
    answer = Answer(status=200, headers=headers, size=1, seconds=0.1)
    return Heard(ask=ASK, answer=answer, at=NOON + timedelta(seconds=seconds))


def edge(kind: Kind, *, shield: str | None = None, role: str = "pop") -> Edge:
    described = {"name": "paris", "kind": kind, "url": "http://edge:8080", "shield": shield, "role": role}
    return Edge.model_validate(described)


FOUR, FIVE = ({"avant-copy": "1", "avant-answer": number} for number in "45")
#: What an edge is, what it told first, what 2.5 seconds later: is it one copy?
TOLD: list[tuple[Edge, Headers, Headers, bool | None]] = [
    (edge("nginx"), {}, {}, None),
    (edge("nginx"), {"x-amz-request-id": "1"}, {"x-amz-request-id": "1"}, True),
    (edge("nginx"), {"x-amz-request-id": "1"}, {"x-amz-request-id": "2"}, False),
    (edge("nginx"), {"avant-copy": "1"}, {"avant-copy": "1"}, True),
    (edge("nginx"), {"avant-copy": "1"}, {"avant-copy": "2"}, False),
    (edge("nginx"), {"etag": '"a"'}, {"etag": '"b"'}, False),
    (edge("nginx"), {"etag": '"a"'}, {"etag": '"a"'}, None),
    # nginx repeats the age that its shield told, and writes the Date itself.
    (edge("nginx"), {"age": "7"}, {"age": "7"}, None),
    (edge("nginx"), {"date": "Sun, 29 Nov 2026 12:00:00 GMT"}, {"date": "Sun, 29 Nov 2026 12:00:02 GMT"}, None),
    (edge("rfc9211"), {"age": "7"}, {"age": "9"}, True),
    (edge("rfc9211"), {"age": "0"}, {"age": "0"}, False),
    (edge("ats"), {"date": "Sun, 29 Nov 2026 11:00:00 GMT"}, {"date": "Sun, 29 Nov 2026 11:00:00 GMT"}, True),
    (edge("ats"), {"date": "Sun, 29 Nov 2026 12:00:00 GMT"}, {"date": "Sun, 29 Nov 2026 12:00:02 GMT"}, False),
    (edge("ats"), {"date": "yesterday"}, {"date": "today"}, None),
    (edge("varnish"), {"x-varnish": "5 3", "age": "1"}, {"x-varnish": "9 3", "age": "3"}, True),
    (edge("varnish"), {"x-varnish": "5 3"}, {"x-varnish": "9 8"}, False),
    # What a shield kept stays the same, though the PoP before it keep nothing.
    (edge("rfc9211", shield="fra"), {"age": "7"}, {"age": "9"}, None),
    (edge("nginx", shield="fra"), {"avant-copy": "1"}, {"avant-copy": "1"}, None),
    (edge("nginx", shield="fra"), {"x-amz-request-id": "1"}, {"x-amz-request-id": "1"}, None),
    (edge("nginx", shield="fra"), FOUR, FOUR, True),
    (edge("nginx", shield="fra"), FOUR, FIVE, False),
    (edge("varnish", shield="fra"), {"x-varnish": "5 3"}, {"x-varnish": "9 3"}, True),
    # A shield gives each of its own answers another number.
    (edge("nginx", role="shield"), FOUR, FIVE, True),
]


@pytest.mark.parametrize(("where", "first", "second", "one"), TOLD)
def test_one_copy_is_told_from_many(where: Edge, first: Headers, second: Headers, one: bool | None) -> None:
    """By numbers that an origin gives to each answer, by ages that grow; and what shows nothing is no proof."""
    assert same_copy(where, heard(first, 0.0), heard(second, 2.5)) is one
