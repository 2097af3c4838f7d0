"""Refs and a version that is small enough to read."""

from datetime import UTC, datetime
from fractions import Fraction

from pipelines.cadence import cadence
from pipelines.layout import Names
from pipelines.policy import Policy
from pipelines.release import Ref
from pipelines.track import AudioTrack, Segment, TextTrack, VideoTrack
from presets.packaging import Packaging

NAMES = Names(key=b"k" * 32)
VERSION = "ab" * 32
NOT_YET = Ref(episode="s01e01", generation=0, state="not-yet", version=None, flipped_at=None)

TRACKS = (
    VideoTrack(
        digest="01" * 32,
        prefix=NAMES.track("01" * 32),
        codecs="avc1.4d4015",
        width=416,
        height=234,
        frame_rate=Fraction(25),
        timescale=12800,
        segments=(Segment(duration=73728, size=100_000), Segment(duration=12800, size=20_000)),
        iframe_peak=90_000,
        iframe_average=80_000,
    ),
    AudioTrack(
        digest="02" * 32,
        prefix=NAMES.track("02" * 32),
        codecs="mp4a.40.2",
        language="fr",
        role="original",
        channels=2,
        sample_rate=48000,
        timescale=48000,
        segments=(Segment(duration=276480, size=90_000), Segment(duration=48000, size=16_000)),
    ),
    TextTrack(
        digest="03" * 32,
        prefix=NAMES.track("03" * 32),
        language="pt-BR",
        text_kind="sdh",
        size=1234,
        duration=Fraction(169, 25),
        segments=2,
    ),
)


def policy(title: str = "Pilot") -> Policy:
    return Policy(
        title=title,
        default_language="fr",
        cadence=cadence(Fraction(25), 48000, Packaging()),
        frames=169,
    )


def released(generation: int) -> Ref:
    return Ref(
        episode="s01e01",
        generation=generation,
        state="released",
        version=VERSION,
        flipped_at=datetime(2026, 11, 29, 2, 0, tzinfo=UTC),
    )
