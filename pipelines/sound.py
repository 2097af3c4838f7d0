"""
One language's sound, measured: which track it is, when its first and its last sample come, and that they decode.

Where it lies against the programme is decided here too: it must cover the programme to within half a second.
"""

from contextlib import closing
from fractions import Fraction

from pipelines import wave
from pipelines.delivery import AudioSource
from pipelines.errors import DeliveryError
from pipelines.measured import Picture, Sound
from pipelines.medium import Medium, blaming
from pipelines.programme import Programme
from pipelines.tools import ffprobe, supply
from pipelines.tools.decode import Decoded, decode
from pipelines.tools.ffprobe import Stream

#: ffmpeg's names of the layouts we take, by the number of channels; the first is assumed where a file gives none.
LAYOUTS = {1: ("mono",), 2: ("stereo",), 6: ("5.1", "5.1(side)")}
#: Seconds of the programme that may be left without sound, at either end.
TOLERANCE = Fraction(1, 2)


def track_of(declared: AudioSource, medium: Medium, episode: str) -> Stream:
    """The audio stream that `declared` means. Raises `DeliveryError` when there is none, or no telling which."""
    tracks = medium.sounds
    where = medium.name if declared.file else "the mezzanine"
    nothing = f"Episode `{episode}` has no `{declared.language}` audio: {where} has"
    if not tracks:
        raise DeliveryError(f"{nothing} no audio track.", hint="Ask for a re-delivery, or take it out of episode.toml.")
    if declared.track is None and len(tracks) > 1:
        raise DeliveryError(
            f"Episode `{episode}` does not say which of {len(tracks)} audio tracks is `{declared.language}`: "
            f"{where} has {', '.join(_listed(place, track) for place, track in enumerate(tracks, 1))}.",
            hint="Add `track = 1`, or the one that it is, to that audio in episode.toml.",
        )
    number = declared.track or 1
    if number > len(tracks):
        count = f"{len(tracks)} audio track{'s' if len(tracks) > 1 else ''}"
        raise DeliveryError(
            f"{nothing} {count}, `track = {number}` is not among them.",
            hint="Ask for a re-delivery, or correct `track` in episode.toml.",
        )
    _check_layout(declared, tracks[number - 1])
    return tracks[number - 1]


def measure(declared: AudioSource, medium: Medium, stream: Stream, picture: Picture, programme: Programme) -> Sound:
    """The sound of `stream`, placed against the programme. Raises `DeliveryError` when it is damaged or too short."""
    if declared.file:
        _check_whole(medium)
    first = _first_sample(medium, stream)
    duration = _end(medium, stream) - first
    # The mezzanine's tracks share one clock with its picture; a file's own zero is the mezzanine's first frame.
    zero = Fraction(0) if declared.file else picture.lead + medium.container.format_.start_time
    offset = programme.at(declared.start) if declared.start else first - zero - programme.lead
    _check_cover(declared, offset, offset + duration, programme)
    return Sound(
        declared=declared,
        source=medium.source,
        demuxer=medium.demuxer,
        stream=stream.index,
        codec=stream.codec_name,
        sample_rate=stream.sample_rate,
        channels=stream.channels,
        layout=stream.channel_layout or LAYOUTS[stream.channels][0],
        duration=duration,
        offset=offset,
    )


def _listed(place: int, track: Stream) -> str:
    """`1 (fre, stereo)`"""
    layout = track.channel_layout or LAYOUTS.get(track.channels, (f"{track.channels} channels",))[0]
    return f"{place} ({track.tags.language}, {layout})" if track.tags.language else f"{place} ({layout})"


def _check_layout(declared: AudioSource, stream: Stream) -> None:
    layouts = LAYOUTS.get(stream.channels, ())
    if not layouts or (stream.channel_layout and stream.channel_layout not in layouts):
        found = stream.channel_layout or f"{stream.channels} channels"
        raise DeliveryError(
            f"The `{declared.language}` {declared.role} is {found}, which is not taken yet.",
            hint="Deliver it in mono, stereo or 5.1.",
        )


def _check_whole(medium: Medium) -> None:
    """A file of its own may be cut short without anything in its streams to show it."""
    promised = None
    if medium.demuxer == "wav":
        with closing(supply.stream(medium.source, medium.store)) as stream:
            promised = wave.seconds(stream)
    there = medium.container.format_.duration or Fraction(0)
    if promised and promised - there > Fraction(1, 100):
        raise _truncated(medium, there, promised)
    if medium.report.truncated:
        raise DeliveryError(f"{medium.name} is truncated.", hint="Deliver it again.")


def _first_sample(medium: Medium, stream: Stream) -> Fraction:
    """When the first sample is heard: decoders drop what encoders put before it."""
    frames = _decoded(medium, stream, since=None, frames=3).frames
    if not frames:
        raise DeliveryError(f"{medium.name} has an audio track without a sample.", hint="Deliver it again.")
    return frames[0].time


def _end(medium: Medium, stream: Stream) -> Fraction:
    """When the last sample has been heard, found by decoding the last second."""
    start = medium.container.format_.start_time
    promised = stream.duration or medium.container.format_.duration or Fraction(0)
    frames = _decoded(medium, stream, since=promised - 1).frames
    if not frames:
        # It ends before its container does; where, only its packets tell.
        packets = ffprobe.packets(medium.address, medium.demuxer, stream.index)
        last = max((packet.pts * stream.time_base for packet in packets if packet.pts is not None), default=start)
        frames = _decoded(medium, stream, since=last - start - 1).frames
    if not frames or (stream.duration and frames[-1].time - start < stream.duration - 1):
        raise _truncated(medium, frames[-1].time - start if frames else Fraction(0), promised)
    return frames[-1].time + frames[-1].duration


def _decoded(medium: Medium, stream: Stream, since: Fraction | None, frames: int | None = None) -> Decoded:
    with blaming(f"{medium.name} is damaged: its sound does not decode."):
        return decode(
            medium.address,
            medium.demuxer,
            stream.index,
            since=since if since and since > 0 else None,
            frames=frames,
        )


def _truncated(medium: Medium, there: Fraction, promised: Fraction) -> DeliveryError:
    figures = f"{float(there):.2f} of {float(promised):.2f} s of sound are there"
    return DeliveryError(f"{medium.name} is truncated: {figures}.", hint="Deliver it again.")


def _check_cover(declared: AudioSource, start: Fraction, end: Fraction, programme: Programme) -> None:
    who = f"The `{declared.language}` {declared.role}"
    hint = "Ask for a re-delivery, or say with `start` which time code its first sample has."
    if start > TOLERANCE:
        raise DeliveryError(f"{who} starts {float(start):.2f} s after the programme.", hint=hint)
    if end < programme.seconds - TOLERANCE:
        short = float(programme.seconds - end)
        raise DeliveryError(
            f"{who} ends {short:.2f} s before the programme, which is {float(programme.seconds):.2f} s long.", hint=hint
        )
