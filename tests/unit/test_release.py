"""Entry points as values, and what stays true of their mirror whoever writes it, and whenever it is killed."""

import json
from contextlib import suppress

import m3u8
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from pipelines import layout
from pipelines.errors import ReleaseError, StoreError
from pipelines.manifests.dash import mpd
from pipelines.manifests.hls import multivariant
from pipelines.release import TRIES, entry_points, generation_of, mirror
from pipelines.tools.s3 import Upload
from tests.fakes.releases import NAMES, NOT_YET, TRACKS, VERSION, policy, released

FILES = ("main.m3u8", "main.mpd", "release.json")


class Memory:
    """A store's changing objects: what `mirror` asks of it, and nothing else."""

    def __init__(self, objects: dict[str, tuple[bytes, str, str]] | None = None) -> None:
        self.objects = {} if objects is None else objects

    def get(self, key: str) -> tuple[bytes, str] | None:
        return self.objects[key][:2] if key in self.objects else None

    def swap(self, upload: Upload, *, etag: str | None) -> bool:
        if self.objects.get(upload.key, (b"", None))[1] != etag:
            return False
        self.objects[upload.key] = (upload.body, f'"{hash(upload.body)}"', upload.cache_control)
        return True


def test_before_t_there_is_nothing_to_play_and_nothing_to_learn() -> None:
    """ "Not yet" has a generation and no time, no version, no URL; HLS and DASH players find nothing in it."""
    bodies = entry_points(NOT_YET, TRACKS, policy(), NAMES)
    assert tuple(bodies) == FILES
    assert bodies["main.m3u8"] == b"#EXTM3U\n## avant generation=0 state=not-yet\n"
    assert m3u8.loads(bodies["main.m3u8"].decode()).playlists == []
    assert etree.fromstring(bodies["main.mpd"]).tag == "NotYet"
    assert json.loads(bodies["release.json"]) == {"episode": "s01e01", "state": "not-yet", "generation": 0}


def test_before_t_no_version_needs_to_exist() -> None:
    """An episode can be announced before anything of it is made."""
    assert entry_points(NOT_YET, (), None, NAMES) == entry_points(NOT_YET, TRACKS, policy(), NAMES)


def test_after_t_manifests_are_the_versions_own_but_for_one_line() -> None:
    """An entry point is the version's manifest, rendered for its own place, with the generation in it."""
    bodies = entry_points(released(7), TRACKS, policy(), NAMES)
    hls, dash = bodies["main.m3u8"].decode(), bodies["main.mpd"].decode()
    assert hls.replace("## avant generation=7 state=released\n", "", 1) == multivariant(TRACKS, policy())
    assert dash.replace("<!-- avant generation=7 state=released -->\n", "", 1) == mpd(TRACKS, policy())
    assert hls.startswith("#EXTM3U\n## avant")
    assert etree.fromstring(bodies["main.mpd"]).tag.endswith("}MPD")


def test_after_t_apps_are_told_what_there_is() -> None:
    """The JSON names the version publicly, both manifests, the languages, and where the chapters are."""
    name = NAMES.name(VERSION)
    assert json.loads(entry_points(released(7), TRACKS, policy(), NAMES)["release.json"]) == {
        "episode": "s01e01",
        "state": "released",
        "generation": 7,
        "version": name,
        "hls": "main.m3u8",
        "dash": "main.mpd",
        "languages": {"audio": ["fr"], "text": ["pt-BR"]},
        "chapters": f"../../v/{name}/chapters.json",
    }


def test_a_release_of_nothing_is_refused() -> None:
    """A released ref without a version never becomes an empty playlist."""
    with pytest.raises(ReleaseError, match="with no version"):
        entry_points(released(1), (), None, NAMES)


@pytest.mark.parametrize("title", ["## avant generation=99 state=released", "<!-- avant generation=99 -->", "--><x"])
def test_a_title_can_not_forge_a_generation(title: str) -> None:
    """Only the place where we write it counts."""
    bodies = entry_points(released(7), TRACKS, policy(title), NAMES)
    assert [generation_of(body) for body in bodies.values()] == [7, 7, 7]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"#EXTM3U\n",
        b"#EXTM3U\n#EXT-X-VERSION:7\n## avant generation=3 x",
        b"{",
        b"{}",
        b'{"generation":"3"}',
        b"\xff",
    ],
)
def test_what_carries_no_generation_is_below_all(body: bytes) -> None:
    """A damaged entry point is replaced by anything of ours."""
    assert generation_of(body) == -1


def test_mirrors_say_how_long_they_may_be_kept() -> None:
    """A second before T, never stale; five after, stale only while the store fails."""
    store = Memory()
    mirror(store, NOT_YET, entry_points(NOT_YET, (), None, NAMES))
    assert {kept[2] for kept in store.objects.values()} == {layout.NOT_YET}
    mirror(store, released(1), entry_points(released(1), TRACKS, policy(), NAMES))
    assert {kept[2] for kept in store.objects.values()} == {layout.RELEASED}
    assert sorted(store.objects) == [f"e/s01e01/{file}" for file in FILES]


def test_a_race_that_never_ends_is_said() -> None:
    """Losing for ever is an error that is tried again later, not a loop."""
    store = Contended()
    with pytest.raises(StoreError, match=f"{TRIES} times"):
        mirror(store, NOT_YET, entry_points(NOT_YET, (), None, NAMES))


class Contended(Memory):
    """A store where somebody else is always first."""

    def swap(self, upload: Upload, *, etag: str | None) -> bool:
        return False


class Killed(Exception):  # noqa: N818 - not a fault of anything
    """The process ends here."""


class Contested(Memory):
    """A store where, around each write, other clocks come first and processes die."""

    def __init__(self, waiting: list[int], draw: st.DataObject) -> None:
        super().__init__()
        self.waiting = waiting
        self.draw = draw
        self.deaths = 0

    def swap(self, upload: Upload, *, etag: str | None) -> bool:
        if self.waiting and self.draw.draw(st.booleans(), label="another first"):
            self.run(self.waiting.pop())
        self.perhaps_die()
        before = self.objects.get(upload.key)
        won = super().swap(upload, etag=etag)
        assert not won or before is None or generation_of(upload.body) >= generation_of(before[0])
        self.perhaps_die()
        return won

    def perhaps_die(self) -> None:
        if self.draw.draw(st.integers(0, 7), label="killed if 0") == 0:
            self.deaths += 1
            raise Killed

    def run(self, generation: int) -> None:
        with suppress(Killed):
            mirror(self, REFS[generation], BODIES[generation])


REFS = [NOT_YET, *(released(generation) for generation in range(1, 5))]
BODIES = [entry_points(ref, TRACKS, policy(), NAMES) for ref in REFS]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=5), st.data())
def test_any_interleaving_ends_with_the_highest(generations: list[int], data: st.DataObject) -> None:
    """However clocks overtake each other, no generation ever goes down; whoever repeats a killed flip finishes it."""
    store = Contested(list(generations), data)
    while store.waiting:
        store.run(store.waiting.pop())
    if store.deaths:
        mirror(Memory(store.objects), REFS[max(generations)], BODIES[max(generations)])
    assert {key: kept[0] for key, kept in store.objects.items()} == {
        f"e/s01e01/{file}": body for file, body in BODIES[max(generations)].items()
    }
