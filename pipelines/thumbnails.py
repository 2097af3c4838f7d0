"""
Sprite sheets for the seek bar, from the key frames of a rung that is encoded anyway: the source is not decoded again.
"""

from dataclasses import dataclass
from typing import Literal

from pipelines.cadence import Cadence
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
