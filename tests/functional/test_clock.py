"""Clocks on a real store and a real ledger: nothing early, nothing twice, nothing half done for long."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest
import structlog

from pipelines import layout
from pipelines.artifact import Artifact
from pipelines.availability import Availability, Territory
from pipelines.release import Ref, generation_of
from pipelines.tools.s3 import Store
from pipelines.wire import to_data
from tests.fakes.farm import claim, plan, step, until
from tests.fakes.releases import NAMES, TRACKS, policy
from workers import production
from workers.clock import Clock
from workers.farm import Farm
from workers.ledger import Claim, Ledger, Release, open_ledger
from workers.settings import Settings

LATER = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def ledger(ledger_address: str) -> Iterator[Ledger]:
    found = open_ledger(ledger_address)
    found.enrol("h", memory=1 << 40, slots=["heavy"])
    yield found
    found.close()


@pytest.fixture
def farm(ledger: Ledger, store: Store, tmp_path: Path) -> Farm:
    return Farm(settings=Settings(home=tmp_path), store=store, names=NAMES, ledger=ledger)


def promised(ledger: Ledger, episode: str, at: datetime, *, verified: bool = True) -> Release:
    """An episode whose version was made, armed for `at`."""
    tracks = [step(f"{episode}-{number}") for number in range(len(TRACKS))]
    whole = plan(episode, [*tracks, step(f"{episode}-version", lane="control", needs=tracks)])
    ledger.submit(whole, deadline=at)
    release = Release(episode=episode, at=at, wall="then", editions=whole.editions)
    ledger.arm(release)
    while (held := claim(ledger)) and (verified or not held.step.label.endswith("-verified")):
        ledger.commit(held.step.id, held.token, [artifact(held, [each.makes[0] for each in tracks])])
    return release


def artifact(held: Claim, tracks: list[str]) -> Artifact:
    (digest,) = held.step.makes
    number = tracks.index(digest) if digest in tracks else None
    facts = {"tracks": tracks, "policy": to_data(policy())} if number is None else to_data(TRACKS[number])
    return Artifact(digest=digest, kind="version", key=f"x/{digest}", size=1, sha256="00" * 32, facts=facts)


def shown(store: Store, episode: str) -> dict[str, int]:
    """The generation that each entry point carries."""
    files = (layout.MULTIVARIANT_PLAYLIST, layout.MPD, layout.RELEASE)
    found = {file: store.get(layout.entry_points(episode) + file) for file in files}
    return {file: generation_of(body[0]) for file, body in found.items() if body}


ALL = dict.fromkeys((layout.MULTIVARIANT_PLAYLIST, layout.MPD, layout.RELEASE))


def test_what_is_armed_says_not_yet_and_then_is_there(farm: Farm) -> None:
    """Before its time an edge finds something to keep; at its time, and not before, viewers find the episode."""
    at = farm.ledger.now() + timedelta(seconds=1.5)
    promised(farm.ledger, "e", at)
    clock = Clock(farm)
    assert clock.tick() <= 0.5
    assert shown(farm.store, "e") == dict.fromkeys(ALL, 0)
    until(lambda: farm.ledger.ref("e").state == "released", meanwhile=lambda: wait(clock.tick()))
    flipped = farm.ledger.ref("e").flipped_at
    assert flipped
    assert timedelta() <= flipped - at < timedelta(seconds=1)
    assert shown(farm.store, "e") == dict.fromkeys(ALL, 1)


def test_who_waits_for_one_release_keeps_the_others(farm: Farm) -> None:
    """`avant run` may wait for hours: what was armed before, for an earlier time, goes out at that time."""
    first, second = (promised(farm.ledger, name, LATER) for name in ("first", "second"))
    now = farm.ledger.now()
    first, second = (replace(one, at=now + timedelta(seconds=s)) for one, s in ((first, 0.8), (second, 1.5)))
    for one in (first, second):
        farm.ledger.arm(one)
    left: list[timedelta] = []
    ref = production.release(second, farm, left.append)
    assert left[0] > left[-1] > timedelta()
    assert ref == farm.ledger.ref("second")
    for one in (first, second):
        flipped = farm.ledger.ref(one.episode).flipped_at
        assert flipped
        assert timedelta() <= flipped - one.at < timedelta(seconds=1)
        assert shown(farm.store, one.episode) == dict.fromkeys(ALL, 1)


def test_what_is_not_verified_waits_and_says_so_once(farm: Farm) -> None:
    """Fails closed at its time; flips as soon as what was missing is there."""
    promised(farm.ledger, "e", farm.ledger.now(), verified=False)
    clock = Clock(farm)
    with structlog.testing.capture_logs() as said:
        for _ in range(5):
            clock.tick()
    assert [(line["event"], line["episode"]) for line in said] == [("release.held-up", "e")]
    assert "not ready" in said[0]["reason"]
    assert farm.ledger.ref("e").state == "not-yet"
    held = farm.ledger.overview("e")
    assert held
    (last,) = [view for view in held.steps if view.step.label == "e-verified"]
    farm.ledger.bury("h/1")
    again = claim(farm.ledger)
    assert again
    assert again.step == last.step
    farm.ledger.commit(again.step.id, again.token, [artifact(again, [])])
    clock.tick()
    assert shown(farm.store, "e") == dict.fromkeys(ALL, 1)


def test_a_flip_that_was_cut_off_is_ended_by_any_clock(farm: Farm) -> None:
    """Its clock died after the ledger knew and before any viewer did: one that runs, and one that starts, notice."""
    one, two = (promised(farm.ledger, name, farm.ledger.now() + timedelta(hours=1)) for name in ("one", "two"))
    running = Clock(farm)
    running.tick()
    cut_off(farm.ledger, one)
    running.tick()
    assert shown(farm.store, "one") == dict.fromkeys(ALL, 1)
    cut_off(farm.ledger, two)
    Clock(farm).tick()
    assert shown(farm.store, "two") == dict.fromkeys(ALL, 1)


def test_clocks_that_race_flip_each_release_once(farm: Farm, ledger_address: str) -> None:
    """Two clocks, ten releases within five seconds: each once, none early, each within a second."""
    releases = [promised(farm.ledger, f"e{n}", LATER) for n in range(10)]
    start = farm.ledger.now() + timedelta(seconds=2)
    releases = [replace(release, at=start + timedelta(seconds=n / 2)) for n, release in enumerate(releases)]
    for release in releases:
        farm.ledger.arm(release)
    over = Event()

    def ticking() -> None:
        own = open_ledger(ledger_address)
        clock = Clock(replace(farm, ledger=own))
        while not over.is_set():
            over.wait(clock.tick())
        own.close()

    with ThreadPoolExecutor(2) as clocks:
        running = [clocks.submit(ticking) for _ in range(2)]
        until(lambda: not farm.ledger.armed(), patience=30)
        over.set()
        for each in running:
            each.result()
    refs = [farm.ledger.ref(release.episode) for release in releases]
    assert [ref.generation for ref in refs] == [1] * 10
    late = [ref.flipped_at - release.at for ref, release in zip(refs, releases, strict=True) if ref.flipped_at]
    assert timedelta() <= min(late)
    assert max(late) < timedelta(seconds=1)
    Clock(farm).tick()
    assert [shown(farm.store, release.episode) for release in releases] == [dict.fromkeys(ALL, 1)] * 10


def test_what_is_over_says_so_where_it_is(farm: Farm) -> None:
    """A territory at its own end, by the ledger's clock, a generation higher, and told; offered again once agreed."""
    now = farm.ledger.now()
    british = Territory(code="GB", ends=now + timedelta(seconds=1))
    farm.ledger.agree("e", Availability(territories=(Territory(), british)))
    promised(farm.ledger, "e", now)
    clock = Clock(farm)
    clock.tick()
    assert shown(farm.store, "e") == shown(farm.store, "e/GB") == dict.fromkeys(ALL, 1)
    until(lambda: farm.ledger.ref("e").ended == ("GB",), meanwhile=lambda: wait(clock.tick()))
    assert shown(farm.store, "e") == shown(farm.store, "e/GB") == dict.fromkeys(ALL, 2)
    assert state(farm.store, "e") == "released"
    assert state(farm.store, "e/GB") == "ended"
    act = farm.ledger.acts("e")[0]
    assert (act.by.who, act.by.action, act.after) == ("clock", "end", {"ended": ["GB"]})
    clock.tick()
    assert farm.ledger.ref("e").generation == 2
    farm.ledger.agree("e", Availability(territories=(Territory(), replace(british, ends=None))))
    clock.tick()
    assert (state(farm.store, "e/GB"), farm.ledger.ref("e").generation) == ("released", 3)


def test_what_was_over_before_it_began_is_never_shown(farm: Farm) -> None:
    """A release that was late by more than it was to last."""
    now = farm.ledger.now()
    farm.ledger.agree("e", Availability(territories=(Territory(ends=now - timedelta(hours=1)),)))
    promised(farm.ledger, "e", now)
    Clock(farm).tick()
    assert state(farm.store, "e") == "ended"


def state(store: Store, place: str) -> str:
    found = store.get(layout.entry_points(place) + layout.RELEASE)
    assert found
    return str(json.loads(found[0])["state"])


def test_who_wants_to_know_hears_what_viewers_were_given(farm: Farm) -> None:
    """Once the entry points are written, and not before: a canary that asked earlier would find the old ones."""
    heard: list[tuple[int, dict[str, int]]] = []
    promised(farm.ledger, "e", farm.ledger.now())
    clock = Clock(farm, shown=lambda ref: heard.append((ref.generation, shown(farm.store, ref.episode))))
    clock.tick()
    clock.tick()
    assert heard == [(1, dict.fromkeys(ALL, 1))]


def test_a_store_that_is_down_is_outlived(farm: Farm, nowhere: str) -> None:
    """The clock says so, of the flip and of the entry points, and ends what it began when the store is back."""
    promised(farm.ledger, "e", farm.ledger.now())
    connection = {"region": "us-east-1", "bucket": "b", "access_key": "a", "secret_key": "s"}
    clock = Clock(replace(farm, store=Store(endpoint=nowhere, **connection)))
    with structlog.testing.capture_logs() as said:
        clock.tick()
    assert [line["event"] for line in said] == ["release.held-up"] * 2
    clock._farm = farm
    clock.tick()
    assert shown(farm.store, "e") == dict.fromkeys(ALL, 1)
    told = farm.store.get("e/e/release.json")
    assert told
    assert json.loads(told[0])["state"] == "released"


def cut_off(ledger: Ledger, release: Release) -> Ref:
    """The ledger's part of a flip, and nothing after it."""
    ledger.arm(replace(release, at=ledger.now()))
    flipped = ledger.flip(release.episode, generation=0)
    assert flipped
    return flipped


def wait(seconds: float) -> None:
    Event().wait(seconds)
