"""
One source opened for measuring: sniffed, confined, described by two tools.

A tool that fails on a source means that the delivery is damaged. Where the store was at fault, `readable` says so
instead, when the context ends.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from pipelines import quicktime
from pipelines.errors import DeliveryError, ToolError
from pipelines.source import Source
from pipelines.tools import ffprobe, mediainfo, supply
from pipelines.tools.ffprobe import Container, Stream
from pipelines.tools.mediainfo import Report
from pipelines.tools.s3 import Store

TAKEN = "We take MOV, MP4, Matroska and MXF; sound also as WAV, W64, AIFF or FLAC."


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    """A source that is media, for as long as its address lasts."""

    #: What people call it: the last part of its path.
    name: str
    source: Source
    address: str
    container: Container
    report: Report
    store: Store

    @property
    def demuxer(self) -> str:
        return self.container.format_.demuxer

    @property
    def pictures(self) -> list[Stream]:
        return [stream for stream in self.container.streams if stream.is_picture]

    @property
    def sounds(self) -> list[Stream]:
        return [stream for stream in self.container.streams if stream.codec_type == "audio"]


def called(uri: str) -> str:
    """What people call a source: the last part of its path."""
    return uri.rsplit("/", 1)[-1]


@contextmanager
def opened(source: Source, store: Store) -> Iterator[Medium]:
    """`source` as a medium, readable while the context lasts. Raises `DeliveryError` when it is none that we take."""
    name = called(source.uri)
    with supply.readable(source, store) as address, closing(supply.stream(source, store)) as stream:
        film = quicktime.begins(stream.read(8) or b"")
        if film:  # before ffprobe, which would only say that it failed
            quicktime.check_references(stream, source.size, name)
        with blaming(f"{name} is not media that we take.", hint=TAKEN):
            container = ffprobe.describe(address)
        if container.format_.demuxer == "mov" and not film:
            quicktime.check_references(stream, source.size, name)
        if container.format_.demuxer == "mpegts":
            raise DeliveryError(
                f"{name} is an MPEG transport stream, in which no frame can be found exactly.",
                hint="Rewrap it without loss: ffmpeg -i FILE -map 0 -c copy FILE.mkv",
            )
        with blaming(f"{name} is damaged: it can't be understood."):
            report = mediainfo.read(stream)
        yield Medium(name=name, source=source, address=address, container=container, report=report, store=store)


@contextmanager
def blaming(message: str, *, hint: str = "Deliver it again.") -> Iterator[None]:
    """Turn a tool's failure into a `DeliveryError`, unless the tool was stopped or killed: that says nothing of it."""
    try:
        yield
    except ToolError as error:
        if error.status is None or error.status < 0:
            raise
        raise DeliveryError(message, hint=hint) from error
