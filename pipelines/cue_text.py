"""
What a cue says, made safe for every player: the few tags that all of them draw are kept, the rest is text or goes.

Every pattern is one pass without nested repetition: a hostile file costs no more time than its length.
"""

import re

#: A tag, or a position override of the SubStation family.
_SRT_MARKUP = re.compile(r"<(/?)([A-Za-z]{1,8})((?:\s[^<>]{0,200})?)>|\{\\([^{}\n]{0,100})\}")
_VTT_TAG = re.compile(r"<(/?)([A-Za-z]{0,8}|[0-9:.]{9,16})((?:[.\s][^<>\n]{0,200})?)>")
_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|nbsp|lrm|rlm|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});)")

_SRT_KEPT = {"i", "b", "u"}
#: Tags without an equivalent in WebVTT. Anything else between angle brackets is what someone says: `<sighs>`.
_SRT_DROPPED = {"font", "s", "span"}
_VTT_KEPT = {"i", "b", "u", "c", "v", "lang", "ruby", "rt"}
_SETTINGS = ("vertical", "line", "position", "size", "align")


def from_srt(text: str) -> tuple[str, str]:
    """SubRip's text as WebVTT's, and the cue settings that say where it was drawn."""
    settings = ""
    parts = []
    end = 0
    for match in _SRT_MARKUP.finditer(text):
        override, tag = match[4], (match[2] or "").lower()
        if override is None and tag not in _SRT_KEPT | _SRT_DROPPED:
            continue
        parts.append(_escaped(text[end : match.start()]))
        end = match.end()
        if override is not None:
            settings = settings or _line(override)
        elif tag in _SRT_KEPT:
            parts.append(f"<{match[1]}{tag}>")
    parts.append(_escaped(text[end:]))
    return _without_blank_lines("".join(parts)), settings


def from_vtt(text: str) -> str:
    """WebVTT's text with known tags alone, and nothing in it that another reader could take for a tag or a timing."""
    parts = []
    end = 0
    for match in _VTT_TAG.finditer(text):
        parts.append(_escaped(text[end : match.start()]))
        end = match.end()
        if match[2] in _VTT_KEPT:
            parts.append(f"<{match[1]}{match[2]}{_ENTITY.sub('&amp;', match[3])}>")
    parts.append(_escaped(text[end:]))
    return _without_blank_lines("".join(parts))


def settings_from_vtt(settings: str) -> str:
    """The settings that need nothing else: regions and styles are not carried, so what refers to them goes."""
    return " ".join(
        word for word in settings.split() if re.fullmatch(rf"({'|'.join(_SETTINGS)}):[\w.,%-]{{1,40}}", word)
    )


def _line(override: str) -> str:
    """SubStation numbers places like a telephone's keys upside down: `an7`–`an9` are at the top."""
    match = re.search(r"\\?an([1-9])", override)
    if not match:
        return ""
    row = (int(match[1]) - 1) // 3
    return ("", "line:50%", "line:0")[row]


def _escaped(text: str) -> str:
    return _ENTITY.sub("&amp;", text).replace("<", "&lt;").replace(">", "&gt;")


def _without_blank_lines(text: str) -> str:
    """A blank line would end the cue, and the rest of its text would be lost."""
    return "\n".join(line.strip() for line in text.split("\n") if line.strip())
