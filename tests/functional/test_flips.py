"""Clocks that race, on hosts whose time is wrong, restarted now and then: one flip each, on the second, never early."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Lock
from typing import cast

import pytest

from pipelines.artifact import Artifact
from pipelines.edition import Edition
from pipelines.errors import StoreError
from pipelines.release import generation_of
from pipelines.tools.s3 import Store, Upload
from pipelines.wire import digest, to_data
from tests.fakes.farm import claimed, plan, step
from tests.fakes.releases import NAMES, TRACKS, policy
from tests.fakes.sites import Ask, Site
from tests.fakes.sundial import Sundial
from workers.clock import Clock
from workers.farm import Farm
from workers.ledger import Ledger, Release, open_ledger
from workers.settings import Settings

BEGIN = datetime(2027, 3, 28, 0, 58, tzinfo=UTC)
#: Seconds that a host's clock may be off without anybody noticing, and what must be noticed.
SLIGHT, GROSS = 1.4, 6.0
#: Seconds from one release to the next: some meet.
SPACED = 0.35


@dataclass(kw_only=True)
class Bucket:
    """A store in memory with atomic conditional writes, whose answers are lost now and then."""

    dial: Sundial
    chance: random.Random
    objects: dict[str, bytes] = field(default_factory=dict)
    #: Every generation that an entry point said, in order.
    said: dict[str, list[int]] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def now(self) -> datetime:
        return self.dial.now.replace(microsecond=0)

    def check_swaps(self, prefix: str) -> None:
        """It honours them."""

    def get(self, key: str) -> tuple[bytes, str] | None:
        with self.lock:
            body = self.objects.get(key)
        return (body, digest(body.hex())) if body is not None else None

    def swap(self, upload: Upload, *, etag: str | None) -> bool:
        with self.lock:
            body = self.objects.get(upload.key)
            if (digest(body.hex()) if body is not None else None) != etag:
                return False
            assert isinstance(upload.body, bytes)
            self.objects[upload.key] = upload.body
            self.said.setdefault(upload.key, []).append(generation_of(upload.body))
            if self.chance.random() < 0.02:
                raise StoreError("The answer was lost.")
        return True


@dataclass(kw_only=True)
class Host:
    """A clock, by a host's time; when it looks again, and how often it was restarted."""

    farm: Farm
    dial: Sundial
    chance: random.Random
    skew: float = 0.0
    wake: datetime = BEGIN
    restarts: int = 0
    up: bool = True

    def __post_init__(self) -> None:
        self.clock = Clock(self.farm, host=self.time)

    def time(self) -> datetime:
        return self.dial.now + timedelta(seconds=self.skew)

    def tick(self) -> None:
        self.up = True
        self.wake = self.dial.now + timedelta(seconds=max(0.001, self.clock.tick()))

    def restart(self) -> None:
        """Killed, and back within seconds; it remembers nothing, and the host's clock was set meanwhile."""
        self.clock = Clock(self.farm, host=self.time)
        self.wake = self.dial.now + timedelta(seconds=self.chance.uniform(0.2, 5))
        self.skew = self.chance.uniform(-SLIGHT, SLIGHT)
        self.restarts += 1
        self.up = False


def version(ledger: Ledger, name: str) -> Edition:
    """An edition that is whole, of a version that was made."""
    tracks = [step(f"{name}-{number}") for number in range(len(TRACKS))]
    whole = plan(name, [*tracks, step(f"{name}-version", lane="control", needs=tracks)])
    ledger.submit(whole, deadline=None)
    names = [each.makes[0] for each in tracks]
    for _ in whole.steps:
        held = claimed(ledger)
        (made,) = held.step.makes
        track = to_data(TRACKS[names.index(made)]) if made in names else {"tracks": names, "policy": to_data(policy())}
        ledger.commit(
            held.step.id,
            held.token,
            [Artifact(digest=made, kind="version", key=f"x/{made}", size=1, sha256="00" * 32, facts=track)],
        )
    return whole.editions[0]


def promises(count: int, editions: tuple[Edition, Edition]) -> list[Release]:
    """Of each episode A, then B, then A again; the tenth of a release is at the same instant as another's."""
    found = []
    for number in range(count):
        at = BEGIN + timedelta(seconds=10 + SPACED * (number - number % 10 // 9))
        edition = editions[number // (count // 3 + 1) % 2]
        found.append(Release(episode=f"e{number % (count // 3 + 1)}", at=at, wall="then", editions=(edition,)))
    return found


@pytest.mark.parametrize("count", [90, pytest.param(1000, marks=pytest.mark.long)])
def test_each_release_is_flipped_once_on_the_second(count: int, tmp_path: Path) -> None:
    """
    In simulated time, through a night that clocks change: two clocks look at the same instants, in threads; hosts'
    clocks differ, one grossly now and then; clocks are killed and come back; answers of the store are lost.
    """
    chance = random.Random(7)
    dial = Sundial(BEGIN, pace=timedelta(microseconds=400))
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with closing(dial.ledger(url)) as one, closing(dial.ledger(url)) as two, ThreadPoolExecutor(2) as threads:
        one.enrol("h", memory=1 << 40, slots=["heavy"])
        releases = promises(count, (version(one, "A"), version(one, "B")))
        store = cast(Store, Bucket(dial=dial, chance=chance))
        farms = [Farm(settings=Settings(home=tmp_path), store=store, names=NAMES, ledger=each) for each in (one, two)]
        hosts = [Host(farm=farm, dial=dial, chance=chance, wake=dial.now) for farm in farms]
        waiting = list(releases)
        while waiting or one.armed():
            while waiting and waiting[0].at < dial.now + timedelta(seconds=6):
                one.arm(waiting.pop(0))
            trouble(hosts, chance)
            dial.turn(min(host.wake for host in hosts))
            list(threads.map(Host.tick, [host for host in hosts if host.wake <= dial.now]))
        for host in hosts:
            host.clock = Clock(host.farm, host=host.time)
            for _ in range(20):
                host.tick()
        flips = {name: list(reversed(one.acts(name))) for name in {release.episode for release in releases}}
    assert min(host.restarts for host in hosts) > count // 100
    expected: dict[str, list[Release]] = {}
    for release in releases:
        expected.setdefault(release.episode, []).append(release)
    assert {name: len(acts) for name, acts in flips.items()} == {name: len(own) for name, own in expected.items()}
    assert all([act.generation for act in acts] == list(range(1, len(acts) + 1)) for acts in flips.values())
    for name, acts in flips.items():
        assert [act.after["version"] for act in acts] == [release.version for release in expected[name]]
    late = [
        act.at - release.at for name, acts in flips.items() for act, release in zip(acts, expected[name], strict=True)
    ]
    assert timedelta() <= min(late)
    assert max(late) < timedelta(seconds=1)
    said = cast(Bucket, store).said
    assert all(generations == sorted(set(generations)) for generations in said.values())
    assert {key: generations[-1] for key, generations in said.items()} == {
        f"e/{name}/{file}": len(own)
        for name, own in expected.items()
        for file in ("main.m3u8", "main.mpd", "release.json")
    }


def trouble(hosts: list[Host], chance: random.Random) -> None:
    """One of the two at a time: the other is to do what has to be done."""
    host, other = chance.sample(hosts, 2)
    well = abs(other.skew) <= SLIGHT and other.up
    if well and chance.random() < 0.06:
        host.restart()
    elif well and chance.random() < 0.02:
        host.skew = chance.choice((-GROSS, GROSS))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")) as found:
        found.enrol("h", memory=1 << 40, slots=["heavy"])
        yield found


def test_viewers_see_a_flip_within_a_second_of_their_copys_end(
    site: Site, ask: Ask, ledger: Ledger, tmp_path: Path
) -> None:
    """In real time, at a real nginx that viewers refresh all the while: nothing before T, and it by T + TTL + 1 s."""
    edition = version(ledger, "A")
    farm = Farm(settings=Settings(home=tmp_path), store=site.store, names=site.names, ledger=ledger)
    at = ledger.now() + timedelta(seconds=3)
    release = Release(episode="seen", at=at, wall="then", editions=(edition,))
    ledger.arm(release)
    over = Event()

    def ticking() -> None:
        clock = Clock(farm)
        while not over.is_set():
            over.wait(clock.tick())

    with ThreadPoolExecutor(2) as clocks:
        running = [clocks.submit(ticking) for _ in range(2)]
        seen: list[tuple[datetime, int]] = []
        while not seen or seen[-1][1] == 0:
            assert datetime.now(UTC) < at + timedelta(seconds=30)
            answer = ask("GET", f"{site.edge.url}/e/seen/main.m3u8")
            if answer.status == 200:
                seen.append((datetime.now(UTC), generation_of(answer.data)))
            over.wait(0.02)
        over.set()
        for each in running:
            each.result()
    first = seen[-1][0]
    assert [generation for _, generation in seen[:-1]] == [0] * (len(seen) - 1)
    assert len(seen) > 10
    assert at <= first < at + timedelta(seconds=1 + 1)
    assert ledger.ref("seen").generation == 1
