"""
The picture of a mezzanine, measured: refused early for what a header says, then counted, then decoded.

ffprobe exits 0 on most damaged files. So every packet is counted, MediaInfo is asked for the same figures, and the
first second, one in the middle and the last two are decoded.
"""

from collections.abc import Sequence
from fractions import Fraction

from pipelines.errors import DeliveryError
from pipelines.measured import Matrix, Picture
from pipelines.medium import Medium, blaming
from pipelines.rhythm import rhythm
from pipelines.timecode import frame_number
from pipelines.tools import ffprobe
from pipelines.tools.decode import Decoded, decode
from pipelines.tools.ffmpeg import MAX_PIXELS
from pipelines.tools.ffprobe import Packet, Stream

SLOWEST, FASTEST = 20, 60  # frames per second: what the ladders and cadences were tried with
#: Perceptual quantiser and hybrid log-gamma (SMPTE ST 2084, ARIB STD-B67).
HIGH_DYNAMIC_RANGE = {"smpte2084", "arib-std-b67"}
#: What containers call the matrices that we take. Untagged, or RGB, it follows from the size.
MATRICES: dict[str, Matrix] = {"smpte170m": "bt601", "bt470bg": "bt601", "bt709": "bt709"}
UNTAGGED = {"", "unknown", "gbr"}
#: Lines of the smallest picture that is HD: untagged pictures below it are taken for BT.601.
HD = 720
INTERLACED = {"tt", "bb", "tb", "bt"}
#: Containers whose frame count comes from an index, not from a duration: there the two tools must agree.
INDEXED = {"mov", "mxf"}
#: Seconds decoded before a stretch that is checked: the first frames after a seek may lack what they refer to.
RUN_UP = 1


def measure(medium: Medium, start: str | None) -> Picture:
    """The picture of `medium`; `start` is the time code of its first frame, if the delivery says it."""
    stream = _only_picture(medium)
    _check_kind(medium, stream)
    matrix = _matrix(medium, stream)
    packets = _packets(medium, stream)
    shown = sorted(packet.pts for packet in packets if packet.pts is not None and not packet.discarded)
    rate = _frame_rate(medium, stream, shown)
    _check_counts(medium, len(packets), rate)
    times = [tick * stream.time_base for tick in shown]
    decoded = _decoded(medium, stream, times, rate)
    return Picture(
        source=medium.source,
        demuxer=medium.demuxer,
        stream=stream.index,
        codec=stream.codec_name,
        width=decoded.width,
        height=decoded.height,
        sample_aspect=stream.sample_aspect_ratio or Fraction(1),
        rotation=-int(stream.matrix.rotation) % 360,
        frame_rate=rate,
        frames=len(shown),
        start_frame=frame_number(start or medium.report.time_code or "00:00:00:00", rate),
        lead=times[0] - medium.container.format_.start_time,
        matrix=matrix,
    )


def _only_picture(medium: Medium) -> Stream:
    match medium.pictures:
        case [stream]:
            return stream
        case []:
            raise DeliveryError(f"{medium.name} has no picture.", hint="Name a mezzanine with one video stream.")
        case several:
            raise DeliveryError(f"{medium.name} has {len(several)} pictures.", hint="Deliver it with one video stream.")


def _check_kind(medium: Medium, stream: Stream) -> None:
    """Refuse what we don't make yet, and what nobody should."""
    name = medium.name
    if stream.field_order in INTERLACED or medium.report.interlaced:
        raise DeliveryError(
            f"{name} is interlaced.", hint="Interlaced pictures are not taken yet; deliver it progressive."
        )
    dolby_vision = any(one.side_data_type.startswith("DOVI") for one in stream.side_data_list)
    if stream.color_transfer in HIGH_DYNAMIC_RANGE or dolby_vision:
        raise DeliveryError(
            f"{name} has high dynamic range ({stream.color_transfer or 'Dolby Vision'}).",
            hint="HDR pictures are not taken yet; deliver it in SDR (BT.709).",
        )
    if stream.width * stream.height > MAX_PIXELS:
        raise DeliveryError(
            f"{name} is {stream.width}×{stream.height} pixels.", hint="8K (7680×4320) is the largest we take."
        )
    if stream.matrix.rotation % 90 or stream.matrix.mirrored:
        raise DeliveryError(f"{name} is to be shown mirrored or aslant.", hint="Deliver it upright.")


def _matrix(medium: Medium, stream: Stream) -> Matrix:
    if stream.color_space in UNTAGGED:
        return "bt709" if stream.height >= HD else "bt601"
    if stream.color_space not in MATRICES:
        raise DeliveryError(
            f"{medium.name} has the colour matrix {stream.color_space}.", hint="Deliver it in BT.709 or BT.601."
        )
    return MATRICES[stream.color_space]


def _packets(medium: Medium, stream: Stream) -> list[Packet]:
    """Every frame's packet, all of them whole."""
    with blaming(f"{medium.name} is damaged: it can't be read to its end."):
        packets = ffprobe.packets(medium.address, medium.demuxer, stream.index)
    whole = sum(not packet.corrupt for packet in packets)
    if medium.report.truncated or whole < len(packets):
        promised = max(stream.nb_frames or 0, medium.report.frames or 0, _by_duration(stream))
        figures = f"{whole} of {promised} frames are there" if whole < promised else "it ends before its last part"
        raise DeliveryError(f"{medium.name} is truncated: {figures}.", hint="Deliver it again.")
    if not packets or any(packet.pts is None for packet in packets):
        raise DeliveryError(f"{medium.name} does not say when its frames are shown.", hint="Rewrap it, with an index.")
    return packets


def _by_duration(stream: Stream) -> int:
    """Frames that the stream's own duration promises."""
    return int((stream.duration or 0) * (stream.avg_frame_rate or 0))


def _frame_rate(medium: Medium, stream: Stream, shown: Sequence[int]) -> Fraction:
    said = [rate for rate in (stream.avg_frame_rate, stream.r_frame_rate) if rate]
    if len(set(shown)) < 2:  # noqa: PLR2004 - one frame has no rhythm
        raise DeliveryError(f"{medium.name} is a still picture.", hint="Deliver a programme.")
    found = rhythm(shown, stream.time_base, said)
    if not found.constant:
        raise DeliveryError(
            f"{medium.name} has no constant frame rate: at {_rounded(found.frame_rate)} fps, frame {found.worst} would "
            f"come {abs(float(found.late)):.3f} s {'late' if found.late > 0 else 'early'}.",
            hint="Deliver it with a constant frame rate.",
        )
    if not SLOWEST <= found.frame_rate <= FASTEST:
        raise DeliveryError(
            f"{medium.name} has {_rounded(found.frame_rate)} frames per second.",
            hint=f"We take {SLOWEST} to {FASTEST}.",
        )
    return found.frame_rate


def _check_counts(medium: Medium, packets: int, rate: Fraction) -> None:
    """MediaInfo reads the same file with other code: where the two disagree, one of them would be believed wrongly."""
    report = medium.report
    if medium.demuxer in INDEXED and report.frames is not None and report.frames != packets:
        raise DeliveryError(
            f"{medium.name} is not what it says: MediaInfo finds {report.frames} frames in it, ffprobe {packets}.",
            hint="Deliver it again, without edits.",
        )
    if report.frame_rate is not None and abs(report.frame_rate / rate - 1) > Fraction(1, 2000):
        raise DeliveryError(
            f"{medium.name} is not what it says: MediaInfo finds {_rounded(report.frame_rate)} frames per second, "
            f"its frames come at {_rounded(rate)}.",
            hint="Deliver it again, with the frame rate that it has.",
        )


def _decoded(medium: Medium, stream: Stream, times: list[Fraction], rate: Fraction) -> Decoded:
    """The first second, decoded; raises `DeliveryError` if it, one in the middle or the last two don't decode whole."""
    second, end = round(rate), len(times)
    middle = end // 2
    opening = _stretch(medium, stream, times, 0, min(second, end))
    _stretch(medium, stream, times, middle, min(middle + second, end))
    _stretch(medium, stream, times, max(0, end - 2 * second), end)
    return opening


def _stretch(medium: Medium, stream: Stream, times: list[Fraction], first: int, end: int) -> Decoded:
    """Decode the frames from `first` to before `end`: all of them must come out, at their own times."""
    damaged = f"{medium.name} is damaged: its picture does not decode around {_clock(times[first] - times[0])}."
    since = times[first] - medium.container.format_.start_time - RUN_UP
    run_up = end - first + RUN_UP * round((len(times) - 1) / (times[-1] - times[0])) + 1
    with blaming(damaged):
        decoded = decode(
            medium.address,
            medium.demuxer,
            stream.index,
            since=since if first and since > 0 else None,
            # At the end nothing is left out: whatever the decoder still holds must come.
            frames=None if end == len(times) else end if since <= 0 else run_up,
        )
    came = {frame.time for frame in decoded.frames}
    lost = [place for place in range(first, end) if times[place] not in came]
    if lost:
        raise DeliveryError(
            f"{medium.name} is damaged: frame {lost[0]} of {len(times)} does not decode.", hint="Deliver it again."
        )
    return decoded


def _clock(seconds: Fraction) -> str:
    """`12:05`"""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _rounded(rate: Fraction) -> str:
    """`23.976`, `25`"""
    return f"{float(rate):.3f}".rstrip("0").rstrip(".")
