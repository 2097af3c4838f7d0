"""Where and until when: read from a delivery, and told by entry points."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipelines import layout
from pipelines.availability import EVERYWHERE, Availability, Territory, availability
from pipelines.delivery import Delivery
from pipelines.errors import DeliveryError
from pipelines.lint.finding import resolved
from pipelines.release import entry_points, generation_of
from pipelines.track import AudioTrack
from tests.fakes.releases import NAMES, NOT_YET, TRACKS, policy, released

BODY = {
    "episode": "s01e01",
    "title": "Pilot",
    "preset": "quick",
    "original_language": "en",
    "mezzanine": {"file": "a.mov"},
    "audio": [{"language": "en", "role": "original"}, {"language": "fr"}],
}
AT = {"at": "2026-11-29T03:00", "zone": "Europe/Paris"}


def said(**release: object) -> Availability:
    return availability(Delivery.model_validate({**BODY, "release": {**AT, **release}}))


def test_most_episodes_are_offered_everywhere_for_ever() -> None:
    """And say nothing of it."""
    assert said() == EVERYWHERE == availability(Delivery.model_validate(BODY))


def test_a_territory_ends_when_it_says_or_when_the_release_does() -> None:
    """Wall times are those of the release's zone; the earliest end comes first."""
    where = said(
        ends="2026-12-29T03:00",
        territories=[{"codes": ["FR", "BE"], "default_language": "fr", "ends": "2026-12-06T03:00"}, {"codes": ["CA"]}],
    )
    month, week = (datetime(2026, 12, day, 2, tzinfo=UTC) for day in (29, 6))
    assert where.territories == (
        Territory(ends=month),
        Territory(code="BE", default_language="fr", ends=week),
        Territory(code="CA", ends=month),
        Territory(code="FR", default_language="fr", ends=week),
    )
    assert where.ended(week - timedelta(seconds=1)) == ()
    assert where.ended(week) == ("BE", "FR")
    assert (where.next_end(week), where.next_end(month)) == (month, None)


@pytest.mark.parametrize(
    ("release", "sentence"),
    [
        ({"ends": "2026-11-28T03:00"}, "before it begins"),
        ({"ends": "2027-03-28T02:30"}, "does not exist"),
        ({"territories": [{"codes": ["FR"], "default_language": "de"}]}, "no language of this delivery"),
    ],
)
def test_what_can_not_be_meant_is_refused(release: dict[str, object], sentence: str) -> None:
    """Before anything is made."""
    with pytest.raises(DeliveryError, match=sentence):
        said(**release)


def test_a_country_is_named_once() -> None:
    with pytest.raises(ValueError, match="named twice"):
        said(territories=[{"codes": ["FR"]}, {"codes": ["FR"]}])


ENGLISH = replace(TRACKS[1], language="en", digest="05" * 32, prefix=NAMES.track("05" * 32))  # type: ignore[arg-type]
BOTH = (*TRACKS, ENGLISH)
WHERE = Availability(territories=(Territory(), Territory(code="GB", default_language="en")))


def test_a_territory_has_entry_points_of_its_own() -> None:
    """One deeper, over the same tracks; players pick its language."""
    bodies = entry_points(released(1), BOTH, policy(), NAMES, WHERE)
    plain = ["main.m3u8", "main.mpd", "release.json"]
    assert list(bodies) == [*plain, *(f"GB/{file}" for file in plain)]
    assert {file: bodies[file] for file in plain} == entry_points(released(1), BOTH, policy(), NAMES)
    british = bodies["GB/main.m3u8"].decode()
    (picked,) = {line for line in british.splitlines() if "TYPE=AUDIO" in line and "DEFAULT=YES" in line}
    assert 'LANGUAGE="en"' in picked
    assert isinstance(ENGLISH, AudioTrack)
    uri = picked.partition('URI="')[2].partition('"')[0]
    assert resolved("e/s01e01/GB/main.m3u8", uri) == ENGLISH.prefix + layout.MEDIA_PLAYLIST
    chapters = json.loads(bodies["GB/release.json"])["chapters"]
    assert resolved("e/s01e01/GB/release.json", chapters).startswith("v/")


def test_what_has_ended_says_so_where_it_has() -> None:
    """As "not yet" is said: nothing that a player plays, nothing of the version; the others go on."""
    ref = replace(released(4), ended=("GB",))
    bodies = entry_points(ref, BOTH, policy(), NAMES, WHERE)
    assert bodies["GB/main.m3u8"] == b"#EXTM3U\n## avant generation=4 state=ended\n"
    assert json.loads(bodies["GB/release.json"]) == {"episode": "s01e01", "generation": 4, "state": "ended"}
    assert b"<Ended/>" in bodies["GB/main.mpd"]
    assert {generation_of(body) for body in bodies.values()} == {4}
    assert json.loads(bodies["release.json"])["state"] == "released"


def test_before_t_a_territory_says_not_yet() -> None:
    """So that no edge remembers that it was missing."""
    bodies = entry_points(NOT_YET, (), None, NAMES, WHERE)
    assert json.loads(bodies["GB/release.json"])["state"] == "not-yet"
