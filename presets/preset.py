"""A preset: all that is decided about an output before an episode is seen."""

from typing import Annotated

from pydantic import Field

from presets.audio import Audio
from presets.document import Document
from presets.ladder import Video
from presets.packaging import Packaging, Thumbnails


class Preset(Document):
    """What is made of every episode that names it."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    """What a delivery calls it; the file is named after it."""
    title: str
    """What it is for, in a line."""
    video: Video
    """The ladder."""
    audio: Audio = Audio()
    """What is made of each language's sound."""
    packaging: Packaging = Packaging()
    """How tracks are cut."""
    thumbnails: Thumbnails = Thumbnails()
    """Pictures for the seek bar."""
