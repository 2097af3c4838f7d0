"""
Mezzanine in, every rung of one chunk out.

`plan` decides what is encoded; `command` writes it down as a value that tests compare; `make` runs it and believes
nothing that it did not count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pipelines import fmp4
from pipelines.artifact import Artifact
from pipelines.errors import ToolError
from pipelines.layout import PRIVATE, content_type
from pipelines.measured import Matrix
from pipelines.source import Source
from pipelines.tools import ffmpeg, supply
from pipelines.tools.ffmpeg import Stream
from pipelines.tools.s3 import Upload
from pipelines.workspace import Workspace
from presets.ladder import Rung

#: Raised by hand when our own method changes what comes out.
RECIPE = 2
#: Frames decoded before the first that counts. A seek in QuickTime lands by decoding order: up to 16 frames (the most
#: that H.264 and HEVC reorder) before the one sought, those of an open group of pictures lack what they refer to.
PREROLL = 24
#: Frames that x264 looks ahead at, by its preset: it has them long before it writes its first.
AHEAD = {
    "ultrafast": 0,
    "superfast": 0,
    "veryfast": 10,
    "faster": 20,
    "fast": 30,
    "medium": 40,
    "slow": 50,
    "slower": 60,
}
#: Frames that are decoded at a time.
DECODER_THREADS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class RungEncode:
    """One output of the command: a rung's part of the chunk."""

    #: Of the chunk of this rung; does not depend on which rungs are made beside it.
    digest: str
    rung: Rung
    #: Pixels; even, square, at the rung's height or the picture's if that is lower.
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeJob:
    """One ffmpeg run: the source is decoded once and scaled once per rung."""

    kind: Literal["encode"] = "encode"
    source: Source
    demuxer: str
    stream: int
    #: In a frame of the source, as coded: what decoding and scaling cost.
    pixels: int
    frame_rate: Fraction
    #: Clockwise degrees to turn the picture by.
    rotation: int
    #: First frame in the file, and how many.
    first_frame: int
    frames: int
    #: Seconds from the beginning of the file, which `-ss` counts from, to its first frame.
    lead: Fraction = Fraction(0)
    matrix: Matrix = "bt709"
    #: Frames from one key frame to the next.
    gop: int
    speed: str
    rungs: tuple[RungEncode, ...]


def command(job: EncodeJob, address: str, outputs: Sequence[Path]) -> list[str]:
    """The argument list that writes each rung of `job` to its path in `outputs`."""
    first = (job.first_frame - Fraction(1, 2)) / job.frame_rate + job.lead
    seek = first - PREROLL / job.frame_rate if job.first_frame > PREROLL else Fraction(0)
    source = ffmpeg.source(
        address,
        job.demuxer,
        **({"ss": _seconds(seek)} if seek else {}),
        # The picture is turned below, by what the plan says; the display matrix would turn it a second time, and
        # would be written to the output as well.
        display_rotation=0,
        # From a table, because memory is reserved by it; ffmpeg would take all cores.
        threads=DECODER_THREADS,
    )
    picture = source[str(job.stream)]
    if job.first_frame:
        # Half a frame before the first, so that no rounding of times takes in another.
        picture = picture.filter("trim", start=_seconds(first - seek))
    # Frames are counted, and times made from the count: a chunk begins at zero and is as long as its frames.
    picture = picture.filter("settb", expr=str(1 / job.frame_rate)).filter("setpts", "N")
    # The end is said here, not to the outputs: `-frames` counts what leaves an encoder, which has by then been given
    # forty frames more to look ahead at, each decoded and scaled for nothing.
    picture = picture.filter("trim", end_frame=job.frames)
    # The encoder's buffer model needs the rate itself; sources give it in many near misses.
    picture = _turned(picture.filter("fps", str(job.frame_rate)), job.rotation)
    copies = picture.split() if len(job.rungs) > 1 else [picture]
    rungs = enumerate(zip(job.rungs, outputs, strict=True))
    return ffmpeg.command(*(_output(job, rung, _scaled(copies[n], job, rung), path) for n, (rung, path) in rungs))


def make(job: EncodeJob, workspace: Workspace) -> tuple[Artifact, ...]:
    """Encode the chunk, count its frames, and put each rung's part into the store."""
    outputs = [workspace.scratch / f"{rung.height}-{rung.digest[:8]}.mp4" for rung in job.rungs]
    with supply.readable(job.source, workspace.store) as address:
        argv = command(job, address, outputs)
        ffmpeg.run(argv, frames=job.frames, ahead=AHEAD[job.speed], watch=workspace.watch)
    for path in outputs:
        check(path, job)
    uploads = [
        Upload(
            key=workspace.attempt + path.name,
            body=path,
            content_type=content_type(path.name),
            cache_control=PRIVATE,
        )
        for path in outputs
    ]
    written = workspace.store.put_all(uploads, watch=partial(workspace.watch, 1.0))
    facts = {"frames": job.frames, "tools": {"ffmpeg": ffmpeg.version()}}
    return tuple(
        Artifact(digest=rung.digest, kind="chunk", key=put.key, size=put.size, sha256=put.sha256, facts=facts)
        for rung, put in zip(job.rungs, written, strict=True)
    )


def check(path: Path, job: EncodeJob) -> None:
    """Raise `ToolError` unless `path` holds exactly the frames of `job`, and its key frames where they belong."""
    _, fragments = fmp4.read(path)
    samples = [sample for fragment in fragments for sample in fragment.samples]
    if len(samples) != job.frames:
        raise ToolError(f"{path.name} holds {len(samples)} frames instead of {job.frames}.")
    if {sample.duration for sample in samples} != {job.frame_rate.denominator}:
        raise ToolError(f"{path.name} holds frames that are not 1/{job.frame_rate} s long.")
    keys = [number for number, sample in enumerate(samples) if sample.sync]
    if keys != list(range(0, job.frames, job.gop)):
        raise ToolError(f"{path.name} has key frames elsewhere than every {job.gop} frames: {keys[:5]}…")


def _turned(picture: Stream, rotation: int) -> Stream:
    """`picture`, turned clockwise."""
    match rotation:
        case 90:
            return picture.filter("transpose", "clock")
        case 180:
            return picture.filter("hflip").filter("vflip")
        case 270:
            return picture.filter("transpose", "cclock")
        case _:
            return picture


def _scaled(picture: Stream, job: EncodeJob, rung: RungEncode) -> Stream:
    """`picture` in the rung's size, in the one colour description that all rungs have."""
    sized = picture.filter(
        "scale",
        rung.width,
        rung.height,
        flags="lanczos",  # of the usual kernels the one that keeps most detail when a picture is made smaller
        in_color_matrix=job.matrix,  # ffmpeg takes an untagged picture for BT.601; of HD that is false
        out_color_matrix="bt709",
        out_range="tv",  # full range is shown too dark, or too light, by half of all players
    )
    tags = {"colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709", "range": "tv"}
    # What the frames say wins over what the encoder is told: the source's own tags would be written.
    return sized.filter("format", "yuv420p").filter("setsar", 1).filter("setparams", **tags)


def _output(job: EncodeJob, rung: RungEncode, picture: Stream, path: Path) -> Stream:
    options = {
        "fps_mode": "passthrough",  # no frame is repeated or dropped to make times fit
        **_encoder(job, rung),
        **_muxer(job),
    }
    return ffmpeg.output(picture, str(path), **options)


def _encoder(job: EncodeJob, rung: RungEncode) -> dict[str, Any]:
    rate = rung.rung
    return {
        "c:v": "libx264",
        "preset": job.speed,
        "profile:v": rate.profile,
        # One quality for the whole programme under a ceiling; nothing averages, because rate control starts anew with
        # every chunk and an average dips at the joins.
        "crf": rate.crf,
        "maxrate": rate.maxrate,
        "bufsize": rate.bufsize,
        # Key frames are counted from the chunk's first frame, and nowhere else: all rungs have the same.
        "g": job.gop,
        "keyint_min": job.gop,
        "sc_threshold": 0,
        # Each can be decoded without the one before: a chunk and a segment can begin at any.
        "x264-params": "open-gop=0",
        # Said, not left to the preset: the delay it causes is in every chunk's header, and those must be the same.
        "bf": 0 if rate.profile == "baseline" else 3,
        # More threads, other bytes; and the rungs of a chunk keep the cores busy side by side.
        "threads": 1,
        "color_range": "tv",
        "colorspace": "bt709",
        "color_primaries": "bt709",
        "color_trc": "bt709",
        # The source's captions: no manifest would name them.
        "a53cc": 0,
        # x264 writes its settings into each chunk's first picture: 700 bytes that low rungs feel.
        "bsf:v": "filter_units=remove_types=6",
        "flags:v": "+bitexact",
    }


def _muxer(job: EncodeJob) -> dict[str, Any]:
    return {
        "f": "mp4",
        # A frame is a whole number of ticks; in the default timescale 1001/24000 s is not.
        "video_track_timescale": job.frame_rate.numerator,
        # A fragment for each group of pictures, a header that is the same for all chunks, an edit list for the
        # encoder's delay, and offsets that survive joining.
        "movflags": "+frag_keyframe+empty_moov+delay_moov+default_base_moof",
        # A deliverer's titles, chapters and time code would become tracks of ours.
        "map_metadata": -1,
        "map_chapters": -1,
        "write_tmcd": 0,
        "fflags": "+bitexact",  # no version text: the header is compared byte by byte
    }


def _seconds(time: Fraction) -> str:
    """Microseconds are what ffmpeg counts in."""
    return f"{float(time):.6f}"
