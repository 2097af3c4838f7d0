"""
What someone sends: `episode.toml`, and the files or objects that it names.

Identifiers are validated here, once, at the door. Whether the media is what the document says is `probe`'s question.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

import langcodes
from pydantic import AfterValidator, Field, model_validator

from pipelines.errors import undeliverable
from presets.document import Document, DocumentError, read

AudioRole = Literal["original", "dub", "description", "commentary"]
TextKind = Literal["subtitles", "sdh", "forced"]
ChapterKind = Literal["recap", "intro", "chapter", "ad-break", "credits", "preview"]


def _language(tag: str) -> str:
    if not langcodes.tag_is_valid(tag):
        raise ValueError(f"`{tag}` is not a language tag; BCP 47 writes `en`, `pt-BR`, `zh-Hant`")
    return langcodes.standardize_tag(tag)


def _uri(uri: str) -> str:
    if "://" in uri:
        parts = urlsplit(uri)
        if parts.scheme != "s3" or not re.fullmatch(r"[\w.-]+", parts.netloc) or not parts.path.strip("/"):
            # What stands before an @ may be a secret, and this sentence goes into logs.
            shown = "an address with an @" if "@" in uri else f"`{uri}`"
            raise ValueError(f"{shown} is neither a path nor s3://bucket/key")
    if not uri or "\0" in uri or "\n" in uri:
        raise ValueError("an empty or broken path")
    return uri


def _time_code(text: str) -> str:
    if not re.fullmatch(r"\d{2}:[0-5]\d:[0-5]\d[:;.,]\d{2,3}", text):
        raise ValueError(f"`{text}` is not a time code; write hh:mm:ss:ff (`;ff` where frames are dropped)")
    return text


def _selector(text: str) -> str:
    if not re.fullmatch(r"(?:thumbnails|video|audio|text|language(?= ))(?: [\w.*-]+){0,3}", text):
        raise ValueError(f"`{text}` names no tracks; write `audio fr`, `video 1080p`, `text * sdh` or `language fr`")
    return text


Language = Annotated[str, AfterValidator(_language)]
Selector = Annotated[str, AfterValidator(_selector)]
Uri = Annotated[str, AfterValidator(_uri)]
TimeCode = Annotated[str, AfterValidator(_time_code)]
WallTime = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2})?$")]
Checksum = Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{64}$"), AfterValidator(str.lower)]


class Mezzanine(Document):
    """The picture, and perhaps sound with it."""

    file: Uri
    """A path, relative to episode.toml, or `s3://bucket/key`."""
    sha256: Checksum | None = None
    """What `sha256sum` says of the file: a delivery that arrives damaged is then refused before any work."""
    start: TimeCode | None = None
    """Time code of its first frame. Default: the file's own, or 00:00:00:00."""


class AudioSource(Document):
    """The sound of one language in one role."""

    language: Language
    """BCP 47 tag."""
    role: AudioRole = "dub"
    """What it is to viewers."""
    track: Annotated[int, Field(ge=1, le=64)] | None = None
    """Which audio track of the mezzanine (or of `file`) it is, counted from one. Default: the only one."""
    file: Uri | None = None
    """A file of its own; without it the sound is in the mezzanine."""
    sha256: Checksum | None = None
    """What `sha256sum` says of that file."""
    start: TimeCode | None = None
    """Time code of its first sample. Default: that of the mezzanine's first frame."""

    @model_validator(mode="after")
    def _checks_a_file_of_its_own(self) -> "AudioSource":
        if self.sha256 and not self.file:
            raise ValueError("`sha256` stands without a `file`; that of the mezzanine belongs to `[mezzanine]`")
        return self


class TextSource(Document):
    """The text of one language in one kind: SRT or WebVTT."""

    language: Language
    """BCP 47 tag."""
    kind: TextKind = "subtitles"
    """Subtitles translate; SDH also tells sounds; forced shows only what nobody should miss."""
    file: Uri
    """A path, relative to episode.toml, or `s3://bucket/key`."""
    sha256: Checksum | None = None
    """What `sha256sum` says of the file."""
    start: TimeCode | None = None
    """The time code that the file's 00:00:00.000 stands for. Default: that of the mezzanine's first frame."""


class Chapter(Document):
    """A stretch of the programme that apps act on; data beside the version, cut into nothing."""

    kind: ChapterKind
    """What it is."""
    start: Annotated[TimeCode, Field(alias="from")]
    """Time code of its first frame; TOML key `from`."""
    end: Annotated[TimeCode | None, Field(alias="to")] = None
    """Time code of the frame after its last; TOML key `to`. An ad break has none."""
    title: str = ""
    """A name for it, if it has one."""


class Fallback(Document):
    """What a release may give up so that it is in time; it follows as SHOULD."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    """What operators call it: `no-1080p`."""
    drop: Annotated[tuple[Selector, ...], Field(min_length=1, max_length=100)]
    """Tracks, as in `should`."""
    automatic: bool = False
    """Done by itself as soon as the release is in danger; else it is offered to operators."""


class Territories(Document):
    """Countries that get it otherwise than the rest: with entry points of their own, over the same media."""

    codes: Annotated[tuple[Annotated[str, Field(pattern=r"^[A-Z]{2}$")], ...], Field(min_length=1, max_length=250)]
    """ISO 3166-1 codes: `["FR", "BE"]`. Their entry points are `e/EPISODE/FR/main.m3u8` and so on."""
    default_language: Language | None = None
    """The sound that players pick there unless the viewer chose, BCP 47. Default: the original's."""
    ends: WallTime | None = None
    """When it ends there, wall time in the release's zone. Default: when the release does."""


class ReleaseTime(Document):
    """When viewers get it, a wall time and a zone; and what of it."""

    at: WallTime
    """Wall time, `2026-11-29T03:00`."""
    zone: str = "UTC"
    """IANA zone, `Europe/Paris`."""
    fold: Literal[0, 1] | None = None
    """Which of the two, where the wall time comes twice in the night that clocks go back."""
    must: Annotated[tuple[Selector, ...], Field(max_length=100)] = ()
    """Tracks that the release waits for: `audio fr`, `audio * * 5.1`, `text * sdh`, `video 1080p`, `thumbnails`, or
    `language fr`, which is its audio and its forced narrative. Default: all but rungs that the preset does not call
    `must`, and commentaries. Of several lists that name a track, `must` counts before `should`, and that before
    `later`."""
    should: Annotated[tuple[Selector, ...], Field(max_length=100)] = ()
    """Tracks that may follow within two hours, as a second version that nobody notices."""
    later: Annotated[tuple[Selector, ...], Field(max_length=100)] = ()
    """Tracks that may follow within a day."""
    fallback: Annotated[tuple[Fallback, ...], Field(max_length=20)] = ()
    """What may be given up, the first first, when the release would be late."""
    ends: WallTime | None = None
    """When it ends, wall time in the same zone; of a time that comes twice, the first. From then on entry points say
    "ended"; sessions that are playing go on. Default: never."""
    territories: Annotated[tuple[Territories, ...], Field(max_length=250)] = ()
    """Countries with a default language or an end of their own."""

    @model_validator(mode="after")
    def _names_each_country_once(self) -> "ReleaseTime":
        codes = [code for each in self.territories for code in each.codes]
        twice = next((code for code in codes if codes.count(code) > 1), None)
        if twice:
            raise ValueError(f"territory `{twice}` is named twice")
        return self


class Delivery(Document):
    """One episode, as delivered. Paths are relative to the document until `open_delivery` resolves them."""

    episode: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    """Identifier: letters, digits, dot, dash, underscore. It is part of public URLs."""
    title: Annotated[str, Field(min_length=1, max_length=500)]
    """What people call it."""
    preset: str
    """What is made of it: a name that `avant presets` lists."""
    original_language: Language
    """The language it was made in; its `original` audio is the default."""
    programme_in: Annotated[TimeCode | None, Field(alias="in")] = None
    """Time code of the first frame of the programme; TOML key `in`. Bars, slate and leader before it are cut."""
    programme_out: Annotated[TimeCode | None, Field(alias="out")] = None
    """Time code of the frame after the last; TOML key `out`."""
    mezzanine: Mezzanine
    """The picture."""
    audio: Annotated[tuple[AudioSource, ...], Field(min_length=1, max_length=64)]
    """The sound, per language and role."""
    text: Annotated[tuple[TextSource, ...], Field(max_length=128)] = ()
    """The text, per language and kind."""
    chapters: Annotated[tuple[Chapter, ...], Field(max_length=1000)] = ()
    """Intro, credits, ad breaks."""
    release: ReleaseTime | None = None
    """When viewers get it. Without it: as soon as it is ready."""

    @model_validator(mode="after")
    def _says_each_thing_once(self) -> "Delivery":
        sounds: list[tuple[str, str]] = [(a.language, a.role) for a in self.audio]
        texts: list[tuple[str, str]] = [(t.language, t.kind) for t in self.text]
        for what, several in (("audio", sounds), ("text", texts)):
            twice = next((one for one in several if several.count(one) > 1), None)
            if twice:
                raise ValueError(f"{what} `{twice[0]}` ({twice[1]}) is declared twice")
        if (self.original_language, "original") not in sounds:
            raise ValueError(
                f"no audio has language `{self.original_language}` and role `original`, "
                "which `original_language` promises"
            )
        return self

    @property
    def sources(self) -> tuple[Mezzanine | AudioSource | TextSource, ...]:
        """Whatever may name a file of its own; what is cheap to look at comes first."""
        return (*self.text, *self.audio, self.mezzanine)

    def placed(self, place: Callable[[str], str]) -> "Delivery":
        """The same delivery, with every file where `place` says that it is."""
        return self.model_copy(
            update={
                "mezzanine": _placed(self.mezzanine, place),
                "audio": tuple(_placed(source, place) for source in self.audio),
                "text": tuple(_placed(source, place) for source in self.text),
            }
        )


AnySource = TypeVar("AnySource", Mezzanine, AudioSource, TextSource)


def open_delivery(path: Path) -> Delivery:
    """The delivery that the document at `path` describes, its paths made absolute. Raises `DeliveryError`."""
    try:
        delivery = read(Delivery, path)
    except DocumentError as error:
        raise undeliverable(error) from error
    folder = path.resolve().parent
    return delivery.placed(lambda file: file if file.startswith("s3://") else str(folder / file))


def _placed(source: AnySource, place: Callable[[str], str]) -> AnySource:
    return source.model_copy(update={"file": place(source.file)}) if source.file else source
