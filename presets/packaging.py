"""How a track is cut: what players download at a time, and what one encode step takes at a time."""

from typing import Annotated

from pydantic import Field

from presets.document import Document


class Packaging(Document):
    """Segments and chunks. Lengths are wishes: the cadence makes them whole frames."""

    gop_seconds: Annotated[float, Field(gt=0, le=2)] = 2.0
    """Longest distance between key frames. HLS authoring: at least one every 2 s."""
    segment_gops: Annotated[int, Field(ge=1, le=10)] = 3
    """Groups of pictures in a segment: three make the 6 s that HLS authoring recommends."""
    chunk_segments: Annotated[int, Field(ge=1, le=30)] = 10
    """Segments that one encode step makes: at most three minutes, so that a lost step costs little. In the last two
    fifths of a programme, at most two."""


class Thumbnails(Document):
    """Sprite sheets for the seek bar."""

    height: Annotated[int, Field(ge=16, le=360, multiple_of=2)] = 90
    """Height of a tile, in pixels."""
    interval_gops: Annotated[int, Field(ge=1, le=60)] = 2
    """Groups of pictures from one tile to the next."""
    columns: Annotated[int, Field(ge=1, le=10)] = 10
    """Tiles in a row."""
    rows: Annotated[int, Field(ge=1, le=10)] = 10
    """Rows in a sprite: with the columns, at most 100 tiles."""
