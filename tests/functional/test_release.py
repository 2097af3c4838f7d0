"""The mirror of a ref on a real store, seen through a real edge."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from pipelines import layout
from pipelines.release import entry_points, generation_of, mirror
from tests.fakes.releases import NAMES, NOT_YET, TRACKS, policy, released
from tests.fakes.sites import Ask, Site

FILES = (layout.MULTIVARIANT_PLAYLIST, layout.MPD, layout.RELEASE)


def seen(ask: Ask, site: Site, episode: str, file: str = "release.json") -> bytes:
    answer = ask("GET", f"{site.edge.url}/e/{episode}/{file}")
    assert answer.status == 200
    return answer.data


def test_a_flip_is_seen_by_all_within_seconds(site: Site, ask: Ask) -> None:
    """Viewers who were told "not yet" a moment before T get the episode within its second, and two for the edge."""
    before = replace(NOT_YET, episode="flip")
    mirror(site.store, before, entry_points(before, (), None, NAMES))
    for file in FILES:
        assert generation_of(seen(ask, site, "flip", file)) == 0
    after = replace(released(1), episode="flip")
    bodies = entry_points(after, TRACKS, policy(), NAMES)
    mirror(site.store, after, bodies)
    flipped = time.monotonic()
    while any(seen(ask, site, "flip", file) != body for file, body in bodies.items()):
        assert time.monotonic() < flipped + 3
    answer = ask("GET", f"{site.edge.url}/e/flip/main.mpd")
    assert answer.headers["Cache-Control"] == layout.RELEASED
    assert answer.headers["Content-Type"] == "application/dash+xml"


def test_a_late_clock_changes_nothing(site: Site) -> None:
    """A clock that wakes with an old generation leaves the newer one alone."""
    new, old = (replace(released(generation), episode="late") for generation in (3, 2))
    mirror(site.store, new, entry_points(new, TRACKS, policy("New"), NAMES))
    mirror(site.store, old, entry_points(old, TRACKS, policy("Old"), NAMES))
    found = site.store.get("e/late/release.json")
    assert found
    assert json.loads(found[0])["generation"] == 3


def test_clocks_that_meet_end_with_the_highest(site: Site) -> None:
    """Eight clocks at once, each with its own generation: every entry point ends with the last."""
    refs = [replace(released(generation), episode="meet") for generation in range(1, 9)]
    with ThreadPoolExecutor(8) as clocks:
        for done in [
            clocks.submit(mirror, site.store, ref, entry_points(ref, TRACKS, policy(), NAMES)) for ref in refs
        ]:
            done.result()
    for file in FILES:
        found = site.store.get(f"e/meet/{file}")
        assert found
        assert generation_of(found[0]) == 8
