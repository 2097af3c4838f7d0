"""
Sprite sheets for the seek bar, from the key frames of a rung that is encoded anyway: the source is not decoded again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Literal

from pipelines import fmp4
from pipelines.artifact import Artifact
from pipelines.cadence import Cadence
from pipelines.errors import ToolError
from pipelines.layout import THUMBNAIL_INDEX, segment
from pipelines.publish import File, publish
from pipelines.tools import ffmpeg
from pipelines.track import ThumbnailTrack, assemble, committed
from pipelines.workspace import Workspace
from presets.packaging import Thumbnails

#: Raised by hand when our own method changes what comes out.
RECIPE = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ThumbnailJob:
    """The key frames of one rung's chunks, to be tiled."""

    kind: Literal["thumbnails"] = "thumbnails"
    #: Of the track.
    digest: str
    #: The chunks of the rung, in order, and the frames of each.
    inputs: tuple[str, ...]
    lengths: tuple[int, ...]
    cadence: Cadence
    #: Pixels of the rung.
    width: int
    height: int
    thumbnails: Thumbnails

    @property
    def tiles(self) -> int:
        """How many pictures there are."""
        return ceil(sum(self.lengths) / (self.cadence.gop * self.thumbnails.interval_gops))

    @property
    def interval(self) -> Fraction:
        """Seconds from one picture to the next."""
        return self.cadence.gop_seconds * self.thumbnails.interval_gops

    @property
    def tile(self) -> tuple[int, int]:
        """Width and height of a picture, in pixels: the preset's height, or the rung's if that is lower."""
        height = min(self.thumbnails.height, self.height)
        return max(2, 2 * round(Fraction(self.width * height, self.height) / 2)), height


def command(job: ThumbnailJob, name: str, sprites: str) -> list[str]:
    """The argument list that tiles the key frames of the file `name` to JPEG files named by the pattern `sprites`."""
    columns, rows = job.thumbnails.columns, job.thumbnails.rows
    width, height = job.tile
    # Nothing but key frames is decoded: one in a group, at a hundredth of the cost.
    keys = ffmpeg.source(name, "mov", skip_frame="nokey")["0"]
    every = keys.filter("select", f"not(mod(n,{job.thumbnails.interval_gops}))")
    # A JPEG is full range and BT.601, whatever it is told (JFIF 1.02).
    small = every.filter("scale", width, height, flags="lanczos", out_range="pc", out_color_matrix="bt601")
    tiled = small.filter("format", "yuvj420p").filter("tile", f"{columns}x{rows}")
    return ffmpeg.command(
        ffmpeg.output(
            tiled,
            sprites,
            **{
                "f": "image2",
                "c:v": "mjpeg",
                "q:v": 5,  # of 2 to 31: no blocks to be seen at this size
                "fps_mode": "passthrough",  # a sprite is no frame of a film: none is repeated to keep a rate
                "flags:v": "+bitexact",
                "map_metadata": -1,
            },
        )
    )


def make(job: ThumbnailJob, workspace: Workspace) -> tuple[Artifact, ...]:
    """Tile, count, publish: sprites first, then the index that names them."""
    whole = assemble(job.inputs, job.lengths, workspace)
    check(job, whole)
    folder = workspace.scratch / "sprites"
    folder.mkdir()
    ffmpeg.run(
        command(job, str(whole), str(folder / "%05d.jpg")), seconds=job.interval * job.tiles, watch=workspace.watch
    )
    sprites = sorted(folder.iterdir())
    track = _track(job, workspace.names.track(job.digest), sprites)
    published = publish(
        workspace,
        digest=job.digest,
        prefix=track.prefix,
        stages=[
            [File(name=path.name, body=path) for path in sprites],
            [File(name=THUMBNAIL_INDEX, body=index(job).encode())],
        ],
    )
    return (committed(track, published, ffmpeg=ffmpeg.version()),)


def index(job: ThumbnailJob) -> str:
    """WebVTT that says which part of which sprite shows which stretch of the programme."""
    return "\n".join(["WEBVTT", "", *_cues(job)])


def _cues(job: ThumbnailJob) -> Iterator[str]:
    columns, rows = job.thumbnails.columns, job.thumbnails.rows
    width, height = job.tile
    end = sum(job.lengths) / job.cadence.frame_rate
    for number in range(job.tiles):
        sprite, place = divmod(number, columns * rows)
        row, column = divmod(place, columns)
        start = number * job.interval
        yield f"{_clock(start)} --> {_clock(min(start + job.interval, end))}"
        yield f"{segment(sprite + 1, '.jpg')}#xywh={column * width},{row * height},{width},{height}"
        yield ""


def check(job: ThumbnailJob, whole: Path) -> None:
    """Raise `ToolError` unless `whole` has the key frames that the tiles are made of."""
    _, fragments = fmp4.read(whole)
    keys = sum(sample.sync for fragment in fragments for sample in fragment.samples)
    if ceil(keys / job.thumbnails.interval_gops) != job.tiles:
        raise ToolError(
            f"The chunks have {keys} key frames, which is not enough or too many for {job.tiles} thumbnails."
        )


def _track(job: ThumbnailJob, prefix: str, sprites: list[Path]) -> ThumbnailTrack:
    columns, rows = job.thumbnails.columns, job.thumbnails.rows
    expected = ceil(job.tiles / (columns * rows))
    if len(sprites) != expected:
        raise ToolError(f"ffmpeg made {len(sprites)} sprites instead of {expected}.")
    width, height = job.tile
    return ThumbnailTrack(
        digest=job.digest,
        prefix=prefix,
        tile_width=width,
        tile_height=height,
        columns=columns,
        rows=rows,
        interval=job.interval,
        sprites=len(sprites),
        largest=max(path.stat().st_size for path in sprites),
    )


def _clock(seconds: Fraction) -> str:
    """`01:02:03.456`"""
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{milliseconds // 1000:02d}.{milliseconds % 1000:03d}"
