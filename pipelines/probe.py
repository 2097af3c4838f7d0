"""
What a delivery really holds: every source examined, or one sentence that says which is not usable and why.

Nothing is fetched but what the delivery names, and nothing is believed that was not measured. What is cheap comes
first: a misspelt subtitle is said before a film is counted.
"""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack, closing

from pipelines import picture, sound, subtitles
from pipelines.delivery import AudioSource, Delivery, Mezzanine, TextSource
from pipelines.errors import DeliveryError
from pipelines.measured import Examined, Picture, Sound, Words
from pipelines.medium import Medium, called, opened
from pipelines.programme import Programme, check_chapter, programme
from pipelines.source import Source
from pipelines.subtitles import Cue
from pipelines.tools import supply
from pipelines.tools.s3 import Store

__all__ = ["Examined", "Picture", "Sound", "Words", "examine"]


def examine(delivery: Delivery, store: Store) -> Examined:
    """Everything measured of a delivery. Raises `DeliveryError`; leaves nothing behind."""
    sources = _identified([text.file for text in delivery.text], store)
    _check_sums(delivery.text, sources, store)
    cues = {uri: _cues(source, store) for uri, source in sources.items()}
    sources |= _identified([audio.file or delivery.mezzanine.file for audio in delivery.audio], store)
    sources |= _identified([delivery.mezzanine.file], store)
    _check_sums([*delivery.audio, delivery.mezzanine], sources, store)
    with ExitStack() as stack:
        media = {
            uri: stack.enter_context(opened(sources[uri], store))
            for uri in dict.fromkeys([delivery.mezzanine.file, *(a.file for a in delivery.audio if a.file)])
        }
        return _measured(delivery, media, cues, sources)


def _measured(
    delivery: Delivery,
    media: Mapping[str, Medium],
    cues: Mapping[str, tuple[Cue, ...]],
    sources: Mapping[str, Source],
) -> Examined:
    heard = [
        (declared, medium, sound.track_of(declared, medium, delivery.episode))
        for declared in delivery.audio
        for medium in [media[declared.file or delivery.mezzanine.file]]
    ]
    seen = picture.measure(media[delivery.mezzanine.file], delivery.mezzanine.start)
    within = programme(delivery, seen)
    for chapter in delivery.chapters:
        check_chapter(chapter, within)
    return Examined(
        delivery=delivery,
        picture=seen,
        first_frame=within.first_frame,
        frames=within.frames,
        words=tuple(_placed(text, sources[text.file], cues[text.file], within) for text in delivery.text),
        sounds=tuple(sound.measure(declared, medium, track, seen, within) for declared, medium, track in heard),
    )


def _identified(uris: list[str], store: Store) -> dict[str, Source]:
    """Each distinct source once: a mezzanine of 100 GB is not read again for each of its languages."""
    return {uri: supply.identify(uri, store) for uri in dict.fromkeys(uris)}


def _check_sums(
    declared: Iterable[Mezzanine | AudioSource | TextSource], sources: Mapping[str, Source], store: Store
) -> None:
    """Raise `DeliveryError` unless every file that comes with a checksum is the file that was meant."""
    for one in declared:
        if one.file and one.sha256 and (found := supply.sha256(sources[one.file], store)) != one.sha256:
            raise DeliveryError(
                f"{called(one.file)} has sha256 {found}, not {one.sha256} as declared.",
                hint="It was damaged on its way, or replaced without its checksum: deliver it again.",
            )


def _cues(source: Source, store: Store) -> tuple[Cue, ...]:
    name = called(source.uri)
    if source.size > subtitles.LARGEST:
        raise DeliveryError(f"{name} has {source.size} bytes, too many for a text.", hint="Check which file that is.")
    data = bytearray()
    with closing(supply.stream(source, store)) as stream:
        while more := stream.read(1 << 16):
            data += more
    return subtitles.parse(bytes(data), name=name)


def _placed(declared: TextSource, source: Source, cues: tuple[Cue, ...], within: Programme) -> Words:
    offset = within.at(declared.start) if declared.start else -within.lead
    if not any(cue.end + offset > 0 and cue.start + offset < within.seconds for cue in cues):
        raise DeliveryError(
            f"{called(source.uri)} has no cue within the programme, though it has {len(cues)} outside.",
            hint="Say with `start` which time code its 00:00:00.000 stands for.",
        )
    return Words(declared=declared, source=source, offset=offset, cues=len(cues))
