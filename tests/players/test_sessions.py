"""Viewers who are watching do not notice what is done on the night; those who come do, within seconds."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from threading import Event, Thread

import pytest
import urllib3

from pipelines import layout
from pipelines.offer import Offer, offered
from pipelines.release import generation_of
from scripts import edge as edges
from scripts.avant.run import produce
from scripts.synthesise import TONES, synthesise
from tests.fakes.farm import until
from tests.players.test_performance import ENOUGH, STILL
from tests.players.theatre import PLAYERS, Report, Theatre
from workers import arming, night
from workers.clock import Clock
from workers.farm import Farm, open_farm
from workers.ledger import By
from workers.night import SEEN_WITHIN, Lever
from workers.settings import Settings
from workers.submission import read_order

#: Of the programme: longer than anybody watches it here.
SECONDS = 135
#: Two rungs of the preset, so that there is one to cap.
SIZE = (640, 360)
EPISODE = "avant-s01e01"
FILES = {"hls": layout.MULTIVARIANT_PLAYLIST, "dash": layout.MPD, "json": layout.RELEASE}
#: What hls.js calls a picture that waits for the stream, which is among the waits too, and one that the machine delays.
STOOD_STILL = "mediaError bufferStalledError"
#: One of each format, as many as there are processors in the smallest machine that runs this.
WATCHING = tuple(way for way in PLAYERS if str(way) in ("hls.js-hls", "shaka-dash"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """A farm whose viewers have an episode's second version, and the edge that serves it."""

    farm: Farm
    theatre: Theatre
    #: Addresses of the entry points, by format.
    manifests: Mapping[str, str]


@dataclass(slots=True, kw_only=True)
class Newcomer:
    """Somebody who asks an edge for entry points, again and again, as new sessions do."""

    manifests: Mapping[str, str]
    #: When all of them were seen first of a generation, by the monotonic clock; and what they offered.
    seen: dict[int, float] = field(default_factory=dict)
    offers: dict[int, Offer] = field(default_factory=dict)
    over: Event = field(default_factory=Event)

    def look(self) -> None:
        with urllib3.PoolManager(timeout=10.0, retries=False) as pool:
            while not self.over.is_set():
                bodies = {FILES[kind]: pool.request("GET", url).data for kind, url in self.manifests.items()}
                generations = {generation_of(body) for body in bodies.values()}
                if len(generations) == 1 and not generations & self.seen.keys():
                    (generation,) = generations
                    self.seen[generation], self.offers[generation] = time.monotonic(), offered(bodies)
                self.over.wait(0.1)

    def waited(self, generation: int, since: float) -> float:
        """Seconds from then until it, or a later one, was seen."""
        return min(at for seen, at in self.seen.items() if seen >= generation) - since


@contextmanager
def coming(manifests: Mapping[str, str]) -> Iterator[Newcomer]:
    """Newcomers, as long as the context lasts."""
    newcomer = Newcomer(manifests=manifests)
    looking = Thread(target=newcomer.look, name="newcomer")
    looking.start()
    try:
        yield newcomer
    finally:
        newcomer.over.set()
        looking.join()


@pytest.fixture(scope="module")
def stand(theatre: Theatre, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """Two versions were released: one with a German dub, and one without."""
    folder = tmp_path_factory.mktemp("night")
    document = synthesise(folder / "delivery", SECONDS, SIZE)
    settings = Settings(home=folder / "home")
    with (
        open_farm(settings) as farm,
        edges.running(
            folder / "edge", farm.settings.s3_endpoint or "", farm.settings.s3_bucket, farm.edge_secret
        ) as edge,
    ):
        for text in (document.read_text(), without_german(document.read_text())):
            document.write_text(text)
            produce(read_order(document, settings, (edge,)), farm, slots=None, wait=True, quiet=True)
        entry = f"{edge.url}/{layout.entry_points(EPISODE)}"
        manifests = {kind: entry + file for kind, file in FILES.items()}
        yield Stand(farm=farm, theatre=replace(theatre, manifests=manifests), manifests=manifests)


def without_german(document: str) -> str:
    before, _, after = document.partition('[[audio]]\nlanguage = "de"')
    return before + after[after.index("[[text]]") :]


def pulled(farm: Farm, lever: Lever, action: str) -> int:
    """What the command does; the generation that it made."""
    turn = lever(farm, night.released(farm, EPISODE))
    return night.pull(farm, turn, By(who="ana", action=action)).generation


def forward(farm: Farm) -> int:
    """To the version that a rollback left, through the gate."""
    farm.ledger.arm(arming.arming(farm.ledger, EPISODE, None))
    Clock(farm).tick()
    return farm.ledger.ref(EPISODE).generation


#: By what new sessions find then: sound, rungs. What is withdrawn is what those who watch listen to.
ACTS: tuple[tuple[Callable[[Farm], int], tuple[str, ...], tuple[int, ...]], ...] = (
    (lambda farm: pulled(farm, night.withdraw("en"), "withdraw"), ("fr",), (234, 360)),
    (lambda farm: pulled(farm, night.cap(height=234, bitrate=None), "cap"), ("fr",), (234,)),
    (lambda farm: pulled(farm, night.rollback, "rollback"), ("fr", "de"), (234,)),
    (lambda farm: pulled(farm, night.restore("en"), "restore"), ("en", "fr", "de"), (234,)),
    (lambda farm: pulled(farm, night.uncap(), "uncap"), ("en", "fr", "de"), (234, 360)),
    (forward, ("en", "fr"), (234, 360)),
)


@pytest.mark.parametrize("seconds", [24, 120])
def test_nobody_who_watches_notices(seconds: int, stand: Stand) -> None:
    """
    hls.js and Shaka, HLS and DASH, play through every lever: no error, and no wait for the stream. Those who come see
    each change within the time for which edges keep entry points, and a second.
    """
    done: dict[int, float] = {}
    with coming(stand.manifests) as newcomer, ExitStack() as stack:
        stages = [stack.enter_context(stand.theatre.stage(way)) for way in WATCHING]
        for stage in stages:
            stage.ask("window.played = stage.play(still), 0", still=STILL)
        for number, (act, _, _) in enumerate(ACTS, 1):
            then = seconds * number / (len(ACTS) + 1)
            stages[0].until("stage.video.currentTime >= then", then=then, patience=2 * seconds)
            done[act(stand.farm)] = time.monotonic()
        for stage in stages:
            stage.until("stage.video.currentTime >= then", then=seconds, patience=2 * seconds)
        until(lambda: max(newcomer.seen) == max(done))
        reports = [stage.report() for stage in stages]
    waited = {generation: newcomer.waited(generation, since) for generation, since in done.items()}
    assert max(waited.values()) < SEEN_WITHIN.total_seconds(), waited
    for generation, (_, audio, heights) in zip(done, ACTS, strict=True):
        if seconds < 120 and generation not in newcomer.offers:
            continue  # it lasted for less than edges keep the one before
        offer = newcomer.offers[generation]
        assert (offer.audio, tuple(rung.height for rung in offer.rungs)) == (audio, heights)
    assert [faults(report) for report in reports] == [[], []]


def faults(report: Report) -> list[object]:
    """What the stream did wrong. A picture that stands still before what is buffered says more of the machine."""
    errors = [error for error in report.errors if not error.endswith(STOOD_STILL)]
    return [*errors, *(wait for wait in report.waits if wait.ahead < ENOUGH)]


def test_who_comes_plays_what_is_left(stand: Stand) -> None:
    """Without the default language and the top rung: the next language is heard, and the other rung is seen."""
    with coming(stand.manifests) as newcomer:
        pulled(stand.farm, night.withdraw("en"), "withdraw")
        left = pulled(stand.farm, night.cap(height=234, bitrate=None), "cap")
        until(lambda: left in newcomer.seen)
        for way in WATCHING:
            with stand.theatre.stage(way) as stage:
                stage.ask("stage.listen(tones)", tones=TONES)
                stage.start()
                stage.until("stage.tone() === 'fr'")
                assert set(stage.ask("stage.player.heights()")) == {234}
                assert stage.report().errors == []
        pulled(stand.farm, night.restore("en"), "restore")
        back = pulled(stand.farm, night.uncap(), "uncap")
        until(lambda: back in newcomer.seen)
