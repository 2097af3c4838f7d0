"""What is asked first, and what counts as warm."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.track import AudioTrack, Segment, TextTrack, ThumbnailTrack, Track
from pipelines.version import Item
from pipelines.warm import Edge, Kind, Verdict, WarmJob, evidence, order, verdict


def item(key: str) -> Item:
    return Item(key=key, size=len(key), sha256="00" * 32)


def sound(name: str, segments: int, seconds: int = 6) -> AudioTrack:
    return AudioTrack(
        digest=name * 64,
        prefix=f"t/{name}/",
        codecs="mp4a.40.2",
        language="en",
        role="original",
        channels=2,
        sample_rate=48000,
        timescale=48000,
        segments=(Segment(duration=seconds * 48000, size=1),) * segments,
    )


TEXT = TextTrack(
    digest="c" * 64, prefix="t/c/", language="fr", text_kind="subtitles", size=9, duration=Fraction(600), segments=100
)
SPRITES = ThumbnailTrack(
    digest="d" * 64,
    prefix="t/d/",
    tile_width=160,
    tile_height=90,
    columns=10,
    rows=10,
    interval=Fraction(2),
    sprites=3,
    largest=9,
)


def of(track: Track) -> list[Item]:
    """What the inventory of a track lists, as it was written: segments first."""
    if isinstance(track, TextTrack):
        files = [*(f"{n:05d}.vtt" for n in range(1, track.segments + 1)), "all.vtt", "media.m3u8"]
    elif isinstance(track, ThumbnailTrack):
        files = [*(f"{n:05d}.jpg" for n in range(1, track.sprites + 1)), "index.vtt"]
    else:
        files = [*(f"{n:05d}.m4s" for n in range(1, len(track.segments) + 1)), "init.mp4", "media.m3u8"]
    return [item(track.prefix + file) for file in files]


MANIFESTS = [item(f"v/e/{file}") for file in ("chapters.json", "main.m3u8", "main.mpd")]


def test_what_every_session_starts_with_comes_first() -> None:
    """Manifests, then playlists, init segments and all text; then media, in the order of time."""
    tracks = [sound("a", 60), TEXT, SPRITES]
    asked = [one.key for one in order([*(i for t in tracks for i in of(t)), *MANIFESTS], tracks)]
    assert asked[:3] == ["v/e/chapters.json", "v/e/main.m3u8", "v/e/main.mpd"]
    beginning = asked.index("t/a/00001.m4s")
    assert {key.rpartition(".")[2] for key in asked[:beginning]} == {"json", "m3u8", "mpd", "vtt", "mp4"}
    assert all(key.endswith((".m4s", ".jpg")) for key in asked[beginning:])


def test_three_minutes_of_all_come_before_the_rest_of_any() -> None:
    """30 segments of six seconds and the first sprite of every track, before the 31st of the first."""
    tracks = [sound("a", 40), sound("b", 40), SPRITES]
    asked = [one.key for one in order([i for t in tracks for i in of(t)], tracks)]
    first_media = asked.index("t/a/00001.m4s")
    assert asked[first_media : first_media + 3] == ["t/a/00001.m4s", "t/b/00001.m4s", "t/d/00001.jpg"]
    later = asked.index("t/a/00031.m4s")
    assert later == first_media + 61
    assert asked[later : later + 2] == ["t/a/00031.m4s", "t/b/00031.m4s"]
    assert asked.index("t/d/00002.jpg") == asked.index("t/b/00034.m4s") + 1  # 200 s: between 198 and 204


@given(st.permutations([*MANIFESTS, *of(sound("a", 40)), *of(sound("b", 3)), *of(TEXT), *of(SPRITES)]))
def test_everything_is_asked_for_once(items: list[Item]) -> None:
    """However the inventories list them, every object comes exactly once, and always in the same place."""
    tracks = [sound("a", 40), sound("b", 3), TEXT, SPRITES]
    asked = order([*items, *MANIFESTS], tracks)
    assert sorted(one.key for one in asked) == sorted(one.key for one in items)
    assert asked == order(reversed(items), tracks)


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [
        (200, {"x-cache-status": "HIT"}, "hit"),
        (206, {"x-cache-status": "HIT"}, "hit"),
        (200, {"x-cache-status": "hit"}, "hit"),
        (404, {"x-cache-status": "HIT"}, "cold"),
        (301, {"x-cache-status": "HIT"}, "cold"),
        (304, {"x-cache-status": "HIT"}, "cold"),
        *((200, {"x-cache-status": word}, "cold") for word in ("MISS", "STALE", "EXPIRED", "UPDATING", "REVALIDATED")),
        (200, {"x-cache-status": "BYPASS"}, "cold"),
        (200, {}, "unknown"),
        (200, {"cache-status": "edge; hit"}, "unknown"),
    ],
)
def test_nginx_says_so_in_a_word(status: int, headers: dict[str, str], said: Verdict) -> None:
    """Only HIT is one, and only of an answer that holds the object."""
    assert verdict("nginx", status, headers) == said


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("ExampleCache; hit", "hit"),
        ("ExampleCache;hit;ttl=376", "hit"),
        ("ExampleCache; hit=?1", "hit"),
        ("ExampleCache; hit=?0", "cold"),
        ("ExampleCache; fwd=uri-miss; stored", "cold"),
        ("ExampleCache; hit; fwd=stale; fwd-status=304", "cold"),
        ("OriginCache; hit; ttl=1100, CDN; fwd=uri-miss", "cold"),
        ("OriginCache; fwd=miss, CDN; hit", "hit"),
        ('"CDN, Inc.; here"; hit; detail="a, b; fwd=x"', "hit"),
        ('CDN; fwd=miss; detail="x; hit"', "cold"),
        ('CDN; detail="hit"', "cold"),
        ("CDN", "cold"),
        ("", "unknown"),
    ],
)
def test_the_cache_nearest_the_viewer_must_have_hit(header: str, said: Verdict) -> None:
    """RFC 9211: the last entry counts; `hit` without `fwd`; what stands in quotes is no parameter."""
    assert verdict("rfc9211", 200, {"cache-status": header}) == said


@pytest.mark.parametrize("kind", ["nginx", "rfc9211"])
def test_silence_is_not_warm(kind: Kind) -> None:
    """An edge that says nothing about its cache has proved nothing."""
    assert verdict(kind, 200, {"age": "12"}) == "unknown"


def test_the_same_proof_has_the_same_evidence() -> None:
    """Evidence is of objects and edge, not of the order or moment in which they were asked for."""
    job = WarmJob(digest="0" * 64, version="1" * 64, tracks=(), edge=Edge(name="paris", url="http://edge:8080"))
    other = WarmJob(digest="0" * 64, version="1" * 64, tracks=(), edge=Edge(name="lyon", url="http://edge:8080"))
    assert evidence(job, MANIFESTS) == evidence(job, MANIFESTS[::-1])
    assert len({evidence(job, MANIFESTS), evidence(job, MANIFESTS[1:]), evidence(other, MANIFESTS)}) == 3
