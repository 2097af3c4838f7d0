"""A canary on an episode that was really made and released, through edges of which some are not what they should be."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
import structlog

from pipelines import layout
from pipelines.canary import Played, play, viewer
from pipelines.release import Ref
from pipelines.track import AudioTrack, Track
from pipelines.version import load_tracks
from pipelines.warm import Edge
from tests.fakes import spine
from tests.fakes.episode import Episode
from tests.fakes.farm import until
from tests.fakes.liar import Liar, standing
from workers.canary import Canary, played, released
from workers.farm import Farm
from workers.ledger import open_ledger
from workers.store import names
from workers.submission import read_edges

LANGUAGES = ["en", "fr", "de"]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What viewers get, and the edge before it."""

    farm: Farm
    ref: Ref
    tracks: tuple[Track, ...]
    bodies: dict[str, bytes]
    edge: Liar

    def played(self) -> list[Played]:
        return list(played(self.farm, self.ref, [Edge(name="paris", url=self.edge.url)]))

    def faults(self) -> dict[tuple[str, str], str]:
        return {(one.protocol, one.language): one.fault for one in self.played() if one.fault}

    def sound(self, language: str) -> str:
        return next(t.prefix for t in self.tracks if isinstance(t, AudioTrack) and t.language == language)

    def keys(self, prefix: str) -> list[str]:
        return [key for key in self.bodies if key.startswith(prefix)]


@pytest.fixture
def shown(episode: Episode) -> Iterator[Shown]:
    ledger = open_ledger(episode.avant.settings.ledger_address)
    settings = episode.avant.settings
    farm = Farm(settings=settings, store=episode.store, names=names(settings), ledger=ledger)
    ref = ledger.ref(spine.EPISODE)
    version = ledger.artifacts([ref.version or ""])[ref.version or ""]
    made = ledger.artifacts(version.facts["tracks"])
    tracks = load_tracks(made[digest] for digest in version.facts["tracks"])
    wanted = [layout.entry_points(spine.EPISODE), *(track.prefix for track in tracks)]
    keys = [key for prefix in wanted for key in episode.store.keys(prefix)]
    bodies = {key: found[0] for key in keys if (found := episode.store.get(key))}
    with standing(Liar(bodies=bodies)) as edge:
        yield Shown(farm=farm, ref=ref, tracks=tracks, bodies=bodies, edge=edge)
    ledger.close()


def test_every_language_plays_by_either_protocol(shown: Shown) -> None:
    """Entry points, playlists, a rung, and every language's sound, decoded; shared segments are asked for once."""
    found = shown.played()
    assert [(one.protocol, one.language, one.fault) for one in found] == [
        (protocol, language, "") for protocol in ("hls", "dash") for language in LANGUAGES
    ]
    assert max(shown.edge.asked.values()) == 1


def test_a_language_in_anothers_place_is_found(shown: Shown) -> None:
    """An edge that gives German bytes under the French names: they decode, and are not what was published."""
    french, german = shown.sound("fr"), shown.sound("de")
    for key in shown.keys(french):
        if key.endswith((".m4s", ".mp4")):
            shown.bodies[key] = shown.bodies[german + key.removeprefix(french)]
    faults = shown.faults()
    assert faults.keys() == {("hls", "fr"), ("dash", "fr")}
    assert all("is not what was published" in fault for fault in faults.values())


def test_what_is_missing_is_named(shown: Shown) -> None:
    """A hole in one language is that language's; the others play."""
    shown.edge.missing = frozenset({shown.sound("de") + "00001.m4s"})
    faults = shown.faults()
    assert faults.keys() == {("hls", "de"), ("dash", "de")}
    assert all("00001.m4s` is answered with 404" in fault for fault in faults.values())


def test_what_was_published_broken_is_found(shown: Shown, tmp_path: Path) -> None:
    """Bytes that are what the inventory says, and no decoder takes: the last thing that only a player would notice."""
    key = shown.sound("fr") + "00001.m4s"
    spoilt = bytearray(shown.bodies[key])
    spoilt[len(spoilt) // 2 : len(spoilt) // 2 + 3000] = b"\xff" * 3000
    shown.bodies[key] = bytes(spoilt)
    published = released(shown.farm, shown.ref)
    wanted = replace(published, sha256={**published.sha256, key: hashlib.sha256(spoilt).hexdigest()})
    found = list(play(Edge(name="paris", url=shown.edge.url), wanted, tmp_path))
    assert [one.language for one in found if one.fault] == ["fr", "fr"]
    assert "ffmpeg" in next(one.fault for one in found if one.fault)


def test_an_edge_that_stays_behind_is_told(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be behind for as long as an entry point lives there, and not for ever."""
    monkeypatch.setattr(viewer, "PATIENCE", 0.6)
    wanted = replace(shown, ref=replace(shown.ref, generation=shown.ref.generation + 1))
    faults = wanted.faults()
    assert len(faults) == 2 * len(LANGUAGES)
    assert all(f"is of generation {shown.ref.generation}, not" in fault for fault in faults.values())


def test_a_flip_that_was_overtaken_is_not_judged(shown: Shown) -> None:
    """The later one has a canary of its own."""
    assert replace(shown, ref=replace(shown.ref, generation=0)).played() == []


def test_an_edge_that_is_down_fails_every_language(shown: Shown, nowhere: str) -> None:
    """And no other edge's."""
    edges = [Edge(name="down", url=nowhere), Edge(name="paris", url=shown.edge.url)]
    found = list(played(shown.farm, shown.ref, edges))
    assert {(one.edge, bool(one.fault)) for one in found} == {("down", True), ("paris", False)}


def test_what_a_clock_shows_is_played_and_told(shown: Shown) -> None:
    """At once, without holding the clock up: one line for what failed, one for the whole."""
    shown.edge.missing = frozenset({shown.sound("de") + "00001.m4s"})
    canary = Canary(shown.farm, lambda: [Edge(name="paris", url=shown.edge.url)])
    ref = replace(shown.ref, flipped_at=shown.farm.ledger.now())
    with structlog.testing.capture_logs() as said:
        canary.told(ref)
        canary.told(ref)
        until(lambda: any(line["event"] == "canary.played" for line in said))
    failed = [line for line in said if line["event"] == "canary.failed"]
    assert [(line["edge"], line["protocol"], line["language"], line["log_level"]) for line in failed] == [
        ("paris", "hls", "de", "error"),
        ("paris", "dash", "de", "error"),
    ]
    (whole,) = [line for line in said if line["event"] == "canary.played"]
    assert (whole["played"], whole["failed"]) == (4, 2)


def test_a_list_of_edges_that_can_not_be_read_is_told(shown: Shown, tmp_path: Path) -> None:
    """And keeps nobody from anything: it is the canary's loss."""
    (tmp_path / "edges.toml").write_text("[[edges]]\nname = 1\n")
    canary = Canary(shown.farm, partial(read_edges, tmp_path / "edges.toml"))
    with structlog.testing.capture_logs() as said:
        canary.told(replace(shown.ref, flipped_at=shown.farm.ledger.now()))
        until(lambda: bool(said))
    assert [(line["event"], line["episode"], line["log_level"]) for line in said] == [
        ("canary.silent", spine.EPISODE, "error")
    ]


def test_the_command_tells_each_language_of_each_edge(shown: Shown, episode: Episode, tmp_path: Path) -> None:
    """And ends with the exit code of edges when one would not play."""
    edges = tmp_path / "edges.toml"
    edges.write_text(f'[[edges]]\nname = "paris"\nurl = "{shown.edge.url}"\n')
    told = episode.avant("release", "canary", spine.EPISODE, "--edges", edges, "--json").told
    assert [(one["language"], one["fault"]) for one in told["played"]] == [(tag, "") for tag in LANGUAGES] * 2
    shown.edge.missing = frozenset({shown.sound("de") + "00001.m4s"})
    refused = episode.avant("release", "canary", spine.EPISODE, "--edges", edges)
    assert (refused.status, "2 of 6 don't play; the first is `de` through paris (hls)" in refused.err) == (69, True)
