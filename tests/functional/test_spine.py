"""One episode from delivery to released, through the command line: what comes out, and what doing it again costs."""

import re
import time
from pathlib import Path
from typing import Any

from pipelines.layout import PUBLIC
from pipelines.tools.s3 import Upload
from tests.fakes import spine
from tests.fakes.episode import Episode
from tests.fakes.kin import kin
from tests.fakes.readers import is_manifest, named
from tests.fakes.spine import Avant

#: What a second run may take, services' start included, in seconds.
AGAIN = 8.0
#: How often it may try: what else the machine is doing meanwhile is not ours to promise.
TRIES = 3

#: What browsers, CDNs and players need to be told, by suffix.
TYPES = {
    "mp4": "video/mp4",
    "m4s": "video/iso.segment",
    "m3u8": "application/vnd.apple.mpegurl",
    "mpd": "application/dash+xml",
    "vtt": "text/vtt; charset=utf-8",
    "jpg": "image/jpeg",
    "json": "application/json",
}
CACHED = {
    "t": "public, max-age=31536000, immutable",
    "v": "public, max-age=31536000, immutable",
    "e": "public, max-age=5, stale-if-error=86400",
    "inventories": "private, no-store",
    "attempts": "private, no-store",
}


def test_a_delivery_is_released(episode: Episode) -> None:
    """Every step of the plan runs once; the version, its tracks and the entry points are in the store."""
    told = episode.told
    assert (told["state"], told["generation"], told["ran"]) == ("released", 1, list(spine.STEPS))
    assert told["steps"] == {"run": len(spine.STEPS), "planned": len(spine.STEPS)}
    assert [track["label"] for track in told["tracks"]] == list(spine.TRACKS)
    found = {key for key in episode.keys if key.startswith(PUBLIC)}
    assert {key.rpartition("/")[0] for key in found} == {
        "e/avant-s01e01",
        f"v/{told['version']}",
        *(f"t/{track['name']}" for track in told["tracks"]),
    }
    assert {f"e/avant-s01e01/{name}" for name in ("main.m3u8", "main.mpd", "release.json")} < found


def test_every_object_says_what_it_is_and_how_long_it_is_good(episode: Episode) -> None:
    """Content-Type and Cache-Control are those of its suffix and its prefix, on every single object."""
    found = {key: episode.store.head(key) for key in episode.keys}
    assert {key: (stored.content_type, stored.cache_control) for key, stored in found.items() if stored} == {
        key: (TYPES[key.rpartition(".")[2]], CACHED[key.partition("/")[0]]) for key in found
    }


def test_everything_public_is_reached_from_the_entry_points(episode: Episode) -> None:
    """A player that starts at HLS or DASH finds all that was published, and nothing that was not."""
    public = {key for key in episode.keys if key.startswith(PUBLIC)}
    reached, ahead = set[str](), {key for key in public if key.startswith(("e/", "v/"))}
    ahead |= {key for key in public if key.endswith("/index.vtt")}  # which apps find beside the sprites
    while ahead:
        key = ahead.pop()
        reached.add(key)
        body = episode.store.get(key) if is_manifest(key) else None
        ahead |= named(key, body[0]) - reached if body else set()
    assert reached == public


def test_status_and_versions_agree(episode: Episode) -> None:
    """The ledger tells the same as the run did."""
    status = episode.avant("status", "avant-s01e01", "--json").told
    assert (status["ready"], status["state"], status["generation"]) == (True, "released", 1)
    assert {step["state"] for step in status["steps"]} == {"done"}
    versions = episode.avant("versions", "avant-s01e01", "--json").told["versions"]
    assert (episode.told["version"], True) in {(each["version"], each["released"]) for each in versions}


def test_a_second_run_does_nothing(delivery: Path, tmp_path: Path) -> None:
    """With services of its own, started and stopped, it ends in under 8 s, and makes nothing at all."""
    avant = Avant(settings=spine.settings(tmp_path / "home", delivery))
    first = avant("run", delivery, "--json").told
    took: list[float] = []
    while len(took) < TRIES and min(took, default=AGAIN) >= AGAIN:
        began = time.monotonic()
        second = avant("run", delivery, "--json").told
        took.append(time.monotonic() - began)
        assert (second["steps"]["run"], second["ran"], second["seconds"]["by_kind"]) == (0, [], {})
        for same in ("version", "state", "generation", "released_at", "tracks"):
            assert second[same] == first[same]
    assert min(took) < AGAIN, took
    assert kin(tmp_path / "home") == []


def test_a_changed_subtitle_costs_its_own_steps(episode: Episode, tmp_path: Path) -> None:
    """Its track, the manifests, the check; no track that was there is written again; the next generation has it."""
    before = episode.tracks()
    document = episode.changed(tmp_path)
    (document.parent / "fr.srt").write_text("1\n00:00:02,000 --> 00:00:04,000\nOn corrige.\n")
    told = episode.avant("run", document, "--json").told
    assert told["ran"] == ["text fr subtitles", "compose manifests", "verify every object"]
    _only_added(episode, before, told, "fr subtitles")


def test_an_added_language_costs_its_own_steps(episode: Episode, tmp_path: Path) -> None:
    """Its sound and its track, the manifests, the check; no track that was there is written again."""
    before = episode.tracks()
    document = episode.changed(tmp_path)
    # The same sound in another language is a track of its own, but not a sound of its own.
    (document.parent / "it.wav").write_bytes((document.parent / "de.wav").read_bytes()[:-4] + bytes(4))
    italian = '[[audio]]\nlanguage = "it"\nfile = "it.wav"\nstart = "10:00:01:00"\n\n[[text]]'
    document.write_text(document.read_text().replace("[[text]]", italian, 1))
    told = episode.avant("run", document, "--json").told
    assert told["ran"] == ["audio it dub stereo", "package it dub stereo", "compose manifests", "verify every object"]
    _only_added(episode, before, told, "it dub stereo")


def test_the_same_delivery_from_another_place_is_the_same(episode: Episode, tmp_path: Path) -> None:
    """A moved delivery is made of the same content: nothing runs, and viewers get the first version again."""
    told = episode.avant("run", episode.changed(tmp_path), "--json").told
    assert (told["ran"], told["version"], told["state"]) == ([], episode.told["version"], "released")


def test_sources_in_a_bucket_are_read_where_they_are(episode: Episode, tmp_path: Path) -> None:
    """An s3:// delivery gives the same tracks; no credential and no signed address is in any log."""
    document = episode.changed(tmp_path)
    for source in document.parent.iterdir():
        body = Upload(key=f"in/{source.name}", body=source, content_type="", cache_control="private")
        episode.store.put_once(body)
    there = f"s3://{episode.store.bucket}/in/"
    document.write_text(re.sub(r'file = "(\w+\.\w+)"', rf'file = "{there}\1"', document.read_text()))
    told = episode.avant("run", document, "--json").told
    assert (told["ran"], told["state"]) == (list(spine.STEPS), "released")
    assert [(t["label"], t["bytes"]) for t in told["tracks"]] == [
        (t["label"], t["bytes"]) for t in episode.told["tracks"]
    ]
    secret = episode.avant.settings.s3_secret_key
    logs = "".join(log.read_text() for log in (episode.avant.settings.home / "logs").iterdir())
    assert secret
    assert secret.get_secret_value() not in logs
    assert "X-Amz-" not in logs


def _only_added(episode: Episode, before: dict[str, tuple[str, object]], told: dict[str, Any], label: str) -> None:
    """Of all tracks that one came, under names that are new; viewers get the version that has it."""
    after = episode.tracks()
    assert {key: after.get(key) for key in before} == before
    name = next(track["name"] for track in told["tracks"] if track["label"] == label)
    assert {key.split("/")[1] for key in after.keys() - before.keys()} == {name}
    assert told["state"] == "released"
    assert told["version"] != episode.told["version"]
