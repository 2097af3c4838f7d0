"""What is asked first, and how much of it."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.lint.dash_view import dash_view
from pipelines.lint.hls_view import hls_view
from pipelines.track import AudioTrack, Segment, TextTrack, ThumbnailTrack, Track, VideoTrack
from pipelines.version import Item
from pipelines.warm import Capacity, Edge, WarmJob, evidence
from pipelines.warm.budget import fit
from pipelines.warm.tiers import Audience, Ranked, by_tier, rank
from tests.fakes import pages

PARIS = Edge(name="paris", url="http://edge:8080")
FRENCH = Audience(region="FR", default_language="en")


def item(key: str, size: int = 1000) -> Item:
    return Item(key=key, size=size, sha256="00" * 32)


def sound(name: str, segments: int = 60, language: str = "en", role: str = "original") -> AudioTrack:
    return AudioTrack(
        digest=name * 64,
        prefix=f"t/{name}/",
        codecs="mp4a.40.2",
        language=language,
        role=role,  # type: ignore[arg-type] - a test's own words
        channels=2,
        sample_rate=48000,
        timescale=48000,
        segments=(Segment(duration=6 * 48000, size=1),) * segments,
    )


def rung(height: int, segments: int = 60) -> VideoTrack:
    made = pages.rung(height, 1_000_000, "avc1.64001f")
    return replace(made, segments=(Segment(duration=6 * 12800, size=1),) * segments)


def words(name: str, language: str) -> TextTrack:
    return TextTrack(
        digest=name * 64,
        prefix=f"t/{name}/",
        language=language,
        text_kind="subtitles",
        size=9,
        duration=Fraction(360),
        segments=60,
    )


SPRITES = replace(pages.SPRITES, prefix="t/s/", interval=Fraction(2), sprites=2)
MANIFESTS = [item(f"v/e/{file}") for file in ("chapters.json", "main.m3u8", "main.mpd")]
RUNGS = [rung(height) for height in (234, 360, 540, 720, 1080, 2160)]
SOUNDS = [sound("a"), sound("b", language="fr-FR", role="dub"), sound("c", language="de", role="dub")]
TEXTS = [words("f", "fr"), words("g", "de")]
TRACKS: list[Track] = [*RUNGS, *SOUNDS, *TEXTS, SPRITES]


def of(track: Track) -> list[Item]:
    """What the inventory of a track lists, as it was written: segments first."""
    if isinstance(track, TextTrack):
        files = [*(f"{n:05d}.vtt" for n in range(1, track.segments + 1)), "all.vtt", "media.m3u8"]
    elif isinstance(track, ThumbnailTrack):
        files = [*(f"{n:05d}.jpg" for n in range(1, track.sprites + 1)), "index.vtt"]
    else:
        files = [*(f"{n:05d}.m4s" for n in range(1, len(track.segments) + 1)), "init.mp4", "media.m3u8"]
    return [item(track.prefix + file) for file in files]


ITEMS = [*(one for track in TRACKS for one in of(track)), *MANIFESTS]


def tiers(audience: Audience = FRENCH) -> dict[int, set[str]]:
    return {tier: {one.item.key for one in each} for tier, each in by_tier(rank(ITEMS, TRACKS, audience)).items()}


def test_what_every_session_starts_with_comes_first() -> None:
    """T0: manifests, then playlists, init segments and the text of likely languages; no other language's, no media."""
    asked = [one.item.key for one in rank(ITEMS, TRACKS, FRENCH)]
    assert asked[:3] == ["v/e/chapters.json", "v/e/main.m3u8", "v/e/main.mpd"]
    first = tiers()[0]
    assert {key.rpartition(".")[2] for key in first} == {"json", "m3u8", "mpd", "vtt", "mp4"}
    assert {key for key in first if key.endswith(".vtt")} == {one.key for one in of(TEXTS[0]) if ".vtt" in one.key}
    assert set(asked[: len(first)]) == first


def test_the_beginning_of_likely_rungs_and_languages_is_next() -> None:
    """T1: three minutes of the three likeliest rungs, of the original, and of the country's own language."""
    assert {key.split("/")[1] for key in tiers()[1]} == {"v540", "v720", "v1080", "a", "b"}
    assert {int(key[-9:-4]) for key in tiers()[1]} == set(range(1, 31))


def test_another_country_wants_another_language_first() -> None:
    """In Germany it is German that starts with the picture, and French that waits."""
    german = tiers(Audience(region="DE", default_language="en"))
    assert {key.split("/")[1] for key in german[1]} >= {"a", "c"}
    assert "t/b/00001.m4s" in german[2]
    assert "t/g/all.vtt" in german[0]


def test_the_other_languages_the_rest_and_the_long_tail() -> None:
    """T2 begins them, T3 goes on with what T1 began, T4 is for few screens, T5 for later."""
    found = tiers()
    assert {"t/c/00001.m4s", "t/s/00001.jpg", "t/g/all.vtt", "t/s/index.vtt"} <= found[2]
    assert {key.split("/")[1] for key in found[3]} == {"v540", "v720", "v1080", "a", "b"}
    assert {key.split("/")[1] for key in found[4]} == {"v234", "v360", "v2160"}
    assert {"t/c/00031.m4s", "t/s/00002.jpg"} <= found[5]


def test_within_a_tier_time_goes_on() -> None:
    """Every track's first segment before any one's second."""
    starts = [one.start for one in rank(ITEMS, TRACKS, FRENCH) if one.tier == 3]
    assert starts == sorted(starts)
    assert starts[0] == 180


@settings(deadline=None)
@given(st.permutations([*ITEMS[:40], *ITEMS[-40:]]))
def test_everything_is_asked_for_once(items: list[Item]) -> None:
    """However the inventories list them, every object comes exactly once, and always in the same place."""
    asked = rank([*items, *MANIFESTS], TRACKS, FRENCH)
    assert sorted(one.item.key for one in asked) == sorted(one.key for one in items)
    assert asked == rank(items[::-1], TRACKS, FRENCH)


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_the_warm_list_is_what_players_can_reach(data: st.DataObject) -> None:
    """Of whatever tracks a version has: all that its two manifests lead to, and nothing else."""
    pictures = data.draw(st.lists(st.sampled_from(pages.TRACKS[:3]), min_size=1, unique=True))
    others = data.draw(st.lists(st.sampled_from(pages.TRACKS[3:]), unique=True))
    tracks = [*pictures, pages.sound("pt-BR", "original", 2), *(t for t in others if t.prefix != "t/a2pt-broriginal/")]
    world = pages.world(tracks)
    listed = {one.item.key for one in rank([item(key) for key in world.sizes], tracks, FRENCH)}
    assert listed == reachable(world)


def reachable(world: pages.World) -> set[str]:
    """What a player meets that follows every URI of the HLS and DASH manifests, and of the index of sprites."""
    hls, faults = hls_view(pages.HLS, world.shelf)
    assert faults == []
    dash = dash_view(pages.DASH, world.shelf)
    keys = {pages.HLS, pages.DASH, *hls.media, *(name for media in hls.media.values() for name in media.names)}
    keys |= {name for representation in dash.representations for name in representation.names}
    return keys | {key for key in world.texts if key.endswith("index.vtt")}


def ranked(count: int, size: int = 1_000_000, tier: int = 3) -> list[Ranked]:
    return [
        Ranked(item=item(f"t/a/{n}", size), tier=tier, start=Fraction(n), worth=1.0)  # type: ignore[arg-type] - 0 to 5
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("capacity", "left", "fits", "limit"),
    [
        (Capacity(), None, 10, ""),
        (Capacity(daily_bytes=9_000_000), None, 4, "daily_bytes"),
        (Capacity(daily_requests=10), None, 5, "daily_requests"),
        (Capacity(bits_per_second=8_000_000), 20.0, 10, ""),
        (Capacity(bits_per_second=8_000_000), 13.0, 6, "time"),
        (Capacity(requests_per_second=1), 13.0, 6, "time"),
    ],
)
def test_a_budget_ends_the_order_where_it_must(capacity: Capacity, left: float | None, fits: int, limit: str) -> None:
    """Both passes count; the least wanted is left cold, and the limit that did it is named."""
    fitted = fit(ranked(10), PARIS.model_copy(update={"capacity": capacity}), left)
    assert (len(fitted.taken), len(fitted.left), fitted.limit) == (fits, 10 - fits, limit)
    assert fitted.taken + fitted.left == tuple(ranked(10))


def test_the_narrower_of_two_limits_counts() -> None:
    """The edge's own, or that of all together."""
    edge = PARIS.model_copy(
        update={"capacity": Capacity(bits_per_second=16_000_000), "total": Capacity(bits_per_second=8_000_000)}
    )
    assert fit(ranked(10), edge).seconds == 20.0


def test_what_a_release_needs_is_never_left_in_silence() -> None:
    """T0 and T1 beyond a budget are named as lacking."""
    fitted = fit(ranked(10, tier=1), PARIS.model_copy(update={"capacity": Capacity(daily_requests=10)}))
    assert len(fitted.lacking) == 5


def test_the_same_proof_has_the_same_evidence() -> None:
    """Evidence is of objects and edge, not of the order or moment in which they were asked for."""
    job = WarmJob(digest="0" * 64, version="1" * 64, tracks=(), edge=PARIS)
    other = WarmJob(digest="0" * 64, version="1" * 64, tracks=(), edge=Edge(name="lyon", url="http://edge:8080"))
    assert evidence(job, MANIFESTS) == evidence(job, MANIFESTS[::-1])
    assert len({evidence(job, MANIFESTS), evidence(job, MANIFESTS[1:]), evidence(other, MANIFESTS)}) == 3
