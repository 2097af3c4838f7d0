"""
The form of an MPD: which elements stand in which, in what order, and with which attributes.

ISO/IEC 23009-1 has an XML schema for all that an MPD may hold. It can't be kept here (docs/decisions/0006), so this
is the part that we write; whatever else it holds was not meant.
"""

from collections.abc import Iterator

from lxml import etree

from pipelines.lint.dash_view import MPD, Dash
from pipelines.lint.finding import Fault

#: Children in the order of the schema's sequences.
CHILDREN: dict[str, tuple[str, ...]] = {
    "MPD": ("ProgramInformation", "BaseURL", "Period"),
    "ProgramInformation": ("Title", "Source", "Copyright"),
    "Period": ("BaseURL", "AdaptationSet"),
    "AdaptationSet": (
        "AudioChannelConfiguration",
        "EssentialProperty",
        "SupplementalProperty",
        "Label",
        "Accessibility",
        "Role",
        "BaseURL",
        "SegmentTemplate",
        "Representation",
    ),
    "Representation": (
        "AudioChannelConfiguration",
        "EssentialProperty",
        "SupplementalProperty",
        "Label",
        "BaseURL",
        "SegmentTemplate",
    ),
    "SegmentTemplate": ("SegmentTimeline",),
    "SegmentTimeline": ("S",),
}
_COMMON = {"mimeType", "codecs", "width", "height", "frameRate", "sar", "audioSamplingRate", "startWithSAP"}
_DESCRIPTOR = {"schemeIdUri", "value", "id"}
ATTRIBUTES: dict[str, set[str]] = {
    "MPD": {"id", "profiles", "type", "mediaPresentationDuration", "minBufferTime", "maxSegmentDuration"},
    "Period": {"id", "start", "duration"},
    "AdaptationSet": {
        *_COMMON,
        *("id", "lang", "contentType", "par", "segmentAlignment", "bitstreamSwitching", "selectionPriority"),
        *("minWidth", "maxWidth", "minHeight", "maxHeight", "minBandwidth", "maxBandwidth"),
        *("minFrameRate", "maxFrameRate"),
    },
    "Representation": {*_COMMON, "id", "bandwidth", "qualityRanking"},
    "SegmentTemplate": {"initialization", "media", "startNumber", "timescale", "duration", "presentationTimeOffset"},
    "S": {"t", "d", "r"},
    "AudioChannelConfiguration": _DESCRIPTOR,
    "EssentialProperty": _DESCRIPTOR,
    "SupplementalProperty": _DESCRIPTOR,
    "Accessibility": _DESCRIPTOR,
    "Role": _DESCRIPTOR,
    "Label": {"id", "lang"},
}


def elements_in_order(view: Dash) -> Iterator[Fault]:
    """ISO 5.2, its schema: elements stand where the schema has them, in its order."""
    for element in view.root.iter(f"{MPD}*"):
        allowed = CHILDREN.get(_name(element), ())
        names = [_name(child) for child in element.iterchildren(tag=etree.Element)]
        strange = [name for name in names if name not in allowed]
        if strange:
            yield _where(view, element), f"{strange[0]} has no place in {_name(element)}."
        elif names != sorted(names, key=allowed.index):
            yield _where(view, element), f"its elements are not in the order of {', '.join(allowed)}."


def attributes_known(view: Dash) -> Iterator[Fault]:
    """ISO 5.2, its schema: no attribute but those that there are; a misspelt one is one that players never see."""
    for element in view.root.iter(f"{MPD}*"):
        for strange in sorted(set(map(str, element.attrib)) - ATTRIBUTES.get(_name(element), set())):
            yield _where(view, element), f"{_name(element)} has no attribute {strange}."


def _name(element: etree._Element) -> str:
    return str(element.tag).removeprefix(MPD)


def _where(view: Dash, element: etree._Element) -> str:
    return f"{view.key}, line {element.sourceline}"
