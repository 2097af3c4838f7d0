"""
SRT or WebVTT in, a text track out: WebVTT segments over the whole programme for HLS, one whole file for DASH.

Text never passes through the packager: its WebVTT ends at the last cue and comes 100 ms late in two players.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from typing import Literal

from pipelines import cue_text, layout
from pipelines.artifact import Artifact
from pipelines.cadence import Cadence
from pipelines.delivery import TextKind
from pipelines.errors import DeliveryError
from pipelines.playlist import media_playlist
from pipelines.publish import File, publish
from pipelines.source import Source
from pipelines.tools.supply import stream
from pipelines.track import TextTrack, committed
from pipelines.workspace import Workspace

#: Raised by hand when our own method changes what comes out.
RECIPE = 1

#: Bytes of a file. A feature film's subtitles take a hundredth of it.
LARGEST = 10 << 20
#: Cues of a file.
MOST_CUES = 50_000
#: Bytes of all segments together: a hostile file of long cues would be repeated in every one of them.
LARGEST_TRACK = 100 << 20
#: MPEGTS:0, because our media starts at 0; the 10 s that some packagers write here show up as late text.
SEGMENT_HEADER = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n"

_TIME = re.compile(r"(?:([0-9]{1,4}):)?([0-5]?[0-9]):([0-5]?[0-9])[,.]([0-9]{3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextJob:
    """One language's text to be published."""

    kind: Literal["text"] = "text"
    #: Of the track.
    digest: str
    source: Source
    language: str
    text_kind: TextKind
    #: Seconds to add to the file's times.
    offset: Fraction
    #: Frames of the programme.
    frames: int
    cadence: Cadence


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """Words, and when they are shown."""

    #: Seconds.
    start: Fraction
    end: Fraction
    #: WebVTT's text: escaped, with its tags.
    text: str
    #: WebVTT's cue settings: `line:0`.
    settings: str = ""


@dataclass(frozen=True, slots=True)
class _Block:
    """Lines between two blank ones, and the number of the first, counted from one."""

    number: int
    lines: tuple[str, ...]


def parse(data: bytes, *, name: str) -> tuple[Cue, ...]:
    """The cues of an SRT or WebVTT file, sorted by time; `name` says in errors which. Raises `DeliveryError`."""
    text = _decoded(data, name)
    webvtt = re.match(r"WEBVTT(?:[ \t\n]|\Z)", text) is not None
    blocks = list(_blocks(text))
    if webvtt:
        blocks = [block for block in blocks[1:] if not re.match(r"(NOTE|STYLE|REGION)(\s|\Z)", block.lines[0])]
    if len(blocks) > MOST_CUES:
        raise DeliveryError(
            f"{name} has {len(blocks)} cues; {MOST_CUES} is the most.", hint="Deliver the subtitles of one episode."
        )
    cues = [_cue(block, place, name, webvtt) for place, block in enumerate(blocks, 1)]
    if not cues:
        raise DeliveryError(f"{name} has no cues.", hint="Deliver subtitles, or take this text out of episode.toml.")
    return tuple(sorted((cue for cue in cues if cue.text), key=lambda cue: (cue.start, cue.end)))


def placed(cues: Sequence[Cue], *, offset: Fraction, duration: Fraction) -> tuple[Cue, ...]:
    """The cues at the programme's times: clipped to it, rounded to WebVTT's milliseconds; those outside dropped."""
    moved = (
        replace(
            cue,
            start=round(max(cue.start + offset, Fraction(0)), 3),
            end=round(min(cue.end + offset, duration), 3),
        )
        for cue in cues
    )
    return tuple(cue for cue in moved if cue.start < cue.end)


def whole(cues: Sequence[Cue]) -> str:
    """All the cues in one WebVTT file: dash.js can't load it in segments."""
    return "\n".join(["WEBVTT\n", *(_written(cue) for cue in cues)])


def segments(cues: Sequence[Cue], *, segment: Fraction, duration: Fraction) -> list[str]:
    """
    One WebVTT file for each `segment` seconds of `duration`, cues or not.

    A cue stands, with its full times, in every segment that it touches: a viewer who seeks into it sees it.
    """
    shown: list[list[str]] = [[] for _ in range(ceil(duration / segment))]
    for cue in cues:
        written = _written(cue)
        for index in _touched(cue, segment, len(shown)):
            shown[index].append(written)
    return ["\n".join([SEGMENT_HEADER, *each]) for each in shown]


def make(job: TextJob, workspace: Workspace) -> tuple[Artifact, ...]:
    """Publish the text track. Raises `DeliveryError` when the source is not usable or changed since it was examined."""
    duration = job.frames / job.cadence.frame_rate
    length = job.cadence.segment_seconds
    cues = placed(parse(_read(job.source, workspace), name=job.source.uri), offset=job.offset, duration=duration)
    _refuse_flood(cues, length, ceil(duration / length), job.source.uri)
    all_cues = whole(cues).encode()
    pieces = segments(cues, segment=length, duration=duration)
    names = [layout.segment(number, ".vtt") for number in range(1, len(pieces) + 1)]
    entries = [(min(length, duration - length * n), name) for n, name in enumerate(names)]
    playlist = media_playlist(entries, job.cadence.target_duration, None)
    prefix = workspace.names.track(job.digest)
    published = publish(
        workspace,
        digest=job.digest,
        prefix=prefix,
        stages=[
            [
                *(File(name=name, body=piece.encode()) for name, piece in zip(names, pieces, strict=True)),
                File(name=layout.WHOLE_TEXT, body=all_cues),
            ],
            [File(name=layout.MEDIA_PLAYLIST, body=playlist.encode())],
        ],
    )
    track = TextTrack(
        digest=job.digest,
        prefix=prefix,
        language=job.language,
        text_kind=job.text_kind,
        size=len(all_cues),
        duration=duration,
        segments=len(pieces),
    )
    return (committed(track, published),)


def _read(source: Source, workspace: Workspace) -> bytes:
    """All of the source: the bytes that were examined, or an error."""
    if source.size > LARGEST:
        raise _too_large(source.uri, source.size)
    with stream(source, workspace.store) as file:
        data = file.read() or b""
    changed = len(data) != source.size or (source.sha256 and hashlib.sha256(data).hexdigest() != source.sha256)
    if changed:
        raise DeliveryError(f"{source.uri} changed since it was examined.", hint="Submit the episode again.")
    return data


def _decoded(data: bytes, name: str) -> str:
    """The text, with plain newlines and no byte order mark."""
    if len(data) > LARGEST:
        raise _too_large(name, len(data))
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DeliveryError(
            f"{name} is not UTF-8 text: line {line} has byte 0x{data[error.start]:02x}.", hint="Save it as UTF-8."
        ) from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise DeliveryError(f"{name} is not text: line {line} has a zero byte.", hint="Save it as UTF-8.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _too_large(name: str, size: int) -> DeliveryError:
    return DeliveryError(
        f"{name} has {size} bytes; {LARGEST} are the most for a subtitle.", hint="Deliver SRT or WebVTT text."
    )


def _blocks(text: str) -> Iterator[_Block]:
    lines: list[str] = []
    # Not splitlines(): a line separator inside a cue's text is no end of line for SRT or WebVTT.
    for number, line in enumerate([*text.split("\n"), ""], 1):
        if line.strip():
            lines.append(line)
        elif lines:
            yield _Block(number - len(lines), tuple(lines))
            lines = []


def _cue(block: _Block, place: int, name: str, webvtt: bool) -> Cue:
    """The cue that the block holds; it is the one at `place`, counted from one."""
    at = next((n for n, line in enumerate(block.lines[:2]) if "-->" in line), None)
    if at is None:
        raise _unreadable(name, block.number, block.lines[0], "neither a cue nor a note")
    words = block.lines[at + 1 :]
    lost = next((n for n, line in enumerate(words) if "-->" in line), None)
    if lost is not None:
        raise _unreadable(name, block.number + at + 1 + lost, words[lost], "a cue without a blank line before it")
    start, end, settings = _timing(block.lines[at], block.number + at, name)
    if end <= start:
        how = "as soon as it starts" if end == start else "before it starts"
        raise DeliveryError(
            f"{name}: cue {place}, at {_clock(start)}, ends {how}.", hint="Give it a length, or take it out."
        )
    text = "\n".join(words)
    if webvtt:
        return Cue(start=start, end=end, text=cue_text.from_vtt(text), settings=cue_text.settings_from_vtt(settings))
    plain, settings = cue_text.from_srt(text)
    return Cue(start=start, end=end, text=plain, settings=settings)


def _timing(line: str, number: int, name: str) -> tuple[Fraction, Fraction, str]:
    """Start, end, and what follows them."""
    before, _, after = line.partition("-->")
    end, *settings = after.split(maxsplit=1) or [""]
    first, last = _TIME.fullmatch(before.strip()), _TIME.fullmatch(end)
    if first is None or last is None:
        raise _unreadable(name, number, line, "not `hh:mm:ss,mmm --> hh:mm:ss,mmm`")
    return _seconds(first), _seconds(last), " ".join(settings)


def _seconds(time: re.Match[str]) -> Fraction:
    hours, minutes, seconds, milliseconds = (int(part or 0) for part in time.groups())
    return Fraction(((hours * 60 + minutes) * 60 + seconds) * 1000 + milliseconds, 1000)


def _unreadable(name: str, number: int, line: str, what: str) -> DeliveryError:
    return DeliveryError(
        f"{name} can't be read: line {number}, `{line.strip()[:60]}`, is {what}.", hint="Mend that line."
    )


def _touched(cue: Cue, segment: Fraction, count: int) -> range:
    """The segments, counted from nought, during which the cue is shown."""
    return range(int(cue.start // segment), min(count, ceil(cue.end / segment)))


def _refuse_flood(cues: Sequence[Cue], segment: Fraction, count: int, name: str) -> None:
    size = sum(len(_touched(cue, segment, count)) * (len(cue.text.encode()) + 40) for cue in cues)
    if size > LARGEST_TRACK:
        raise DeliveryError(
            f"{name} has so many long cues that its segments would take {size >> 20} MiB.",
            hint="Shorten the cues to the time in which they are read.",
        )


def _written(cue: Cue) -> str:
    timing = f"{_clock(cue.start)} --> {_clock(cue.end)}"
    return f"{timing} {cue.settings}".rstrip() + f"\n{cue.text}\n"


def _clock(seconds: Fraction) -> str:
    """`00:01:02.500`"""
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
