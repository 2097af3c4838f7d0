"""An episode with two versions that clocks and operators turn, on a ledger, and a store to write it to."""

from dataclasses import replace
from fractions import Fraction

from pipelines.artifact import Artifact
from pipelines.layout import Names
from pipelines.plan import Plan
from pipelines.track import AudioTrack, Segment, TextTrack, Track, VideoTrack
from pipelines.wire import digest, to_data
from tests.fakes.farm import claim, plan, step
from tests.fakes.releases import policy
from workers.ledger import Claim, Ledger, Release

EPISODE = "s01e01"

#: By name: heights of the rungs, languages of the sound, the text. The second has a rung and a language more.
VERSIONS = {
    "first": ((234, 540), ("en", "fr"), ("fr subtitles", "fr forced")),
    "second": ((234, 540, 1080), ("en", "fr", "de"), ("fr subtitles", "fr forced", "de subtitles")),
    "third": ((234, 540), ("en", "de"), ("de subtitles",)),
}


def tracks(names: Names, version: str) -> tuple[Track, ...]:
    """Rungs at about 1 kb/s a line of height; ten seconds each."""
    heights, languages, texts = VERSIONS[version]
    return (
        *(video(names, height) for height in heights),
        *(audio(names, language) for language in languages),
        *(text(names, *words.split()) for words in texts),
    )


def video(names: Names, height: int) -> VideoTrack:
    made = digest(["video", height])
    return VideoTrack(
        digest=made,
        prefix=names.track(made),
        codecs="avc1.4d4015",
        width=height * 16 // 9,
        height=height,
        frame_rate=Fraction(25),
        timescale=25,
        segments=(Segment(duration=144, size=720 * height), Segment(duration=106, size=530 * height)),
        iframe_peak=height * 500,
        iframe_average=height * 400,
    )


def audio(names: Names, language: str) -> AudioTrack:
    made = digest(["audio", language])
    return AudioTrack(
        digest=made,
        prefix=names.track(made),
        codecs="mp4a.40.2",
        language=language,
        role="original" if language == "en" else "dub",
        channels=2,
        sample_rate=48000,
        timescale=25,
        segments=(Segment(duration=144, size=92_160), Segment(duration=106, size=67_840)),
    )


def text(names: Names, language: str, kind: str) -> TextTrack:
    made = digest(["text", language, kind])
    return TextTrack(
        digest=made,
        prefix=names.track(made),
        language=language,
        text_kind="forced" if kind == "forced" else "subtitles",
        size=1234,
        duration=Fraction(10),
        segments=2,
    )


def made(ledger: Ledger, names: Names, version: str) -> Plan:
    """A plan of the version with that name: made, verified, and armed for now. The ledger has a host `h`."""
    parts = [step(f"{version}-{track.digest}") for track in tracks(names, version)]
    composed = step(f"{version}-version", lane="control", needs=parts)
    whole = replace(plan(version, [*parts, composed]), episode=EPISODE)
    ledger.submit(whole, deadline=None)
    digests = [part.makes[0] for part in parts]
    while held := claim(ledger):
        ledger.commit(held.step.id, held.token, [_artifact(held, digests, names, version)])
    ledger.arm(Release(episode=EPISODE, at=ledger.now(), wall="now", editions=whole.editions))
    return whole


def _artifact(held: Claim, digests: list[str], names: Names, version: str) -> Artifact:
    (made,) = held.step.makes
    said = replace(policy(), default_language="en", frames=250)
    facts = {"tracks": digests, "policy": to_data(said)}
    if made in digests:
        facts = to_data(tracks(names, version)[digests.index(made)])
    return Artifact(digest=made, kind="version", key=names.version(made), size=1, sha256="00" * 32, facts=facts)
