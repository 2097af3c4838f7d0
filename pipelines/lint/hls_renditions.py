"""Rules for HLS renditions: sounds and texts, and the groups that variants choose them by. Sources as in `hls`."""

import re
from collections.abc import Iterator

import langcodes

from pipelines.lint.finding import Fault, Rule
from pipelines.lint.hls_view import Hls, missing
from pipelines.lint.reader import Tag

DESCRIBES = "public.accessibility.describes-video"
#: RFC 4.3.4.1: a count of channels, and perhaps more after slashes.
_CHANNELS = re.compile(r"[1-9][0-9]?(/.*)?")
_STEREO_AAC = "mp4a.40.2"


def rendition_attributes(view: Hls) -> Iterator[Fault]:
    """RFC 4.3.4.1, Apple: GROUP-ID, NAME, LANGUAGE and URI; CHANNELS for sound."""
    for kind, more in (("AUDIO", ("CHANNELS",)), ("SUBTITLES", ())):
        for rendition in view.renditions(kind):
            yield from missing(view, rendition, ("GROUP-ID", "NAME", "LANGUAGE", "URI", *more))


def names_differ(view: Hls) -> Iterator[Fault]:
    """RFC 4.3.4.1.1: the members of a group have different names."""
    for group, members in _all_groups(view):
        names = [member.attributes.get("NAME", "") for member in members]
        yield from (
            (view.key, f"group {group} has two `{name}`.") for name in sorted({n for n in names if names.count(n) > 1})
        )


def one_default(view: Hls) -> Iterator[Fault]:
    """RFC 4.3.4.1.1: at most one DEFAULT=YES in a group; ours: sound has exactly one."""
    for group, members in _all_groups(view):
        defaults = sum(member.attributes.get("DEFAULT") == "YES" for member in members)
        least = 1 if members[0].attributes["TYPE"] == "AUDIO" else 0
        if not least <= defaults <= 1:
            yield view.key, f"group {group} has {defaults} members with DEFAULT=YES."


def description_is_chosen(view: Hls) -> Iterator[Fault]:
    """Apple: a description is AUTOSELECT=YES, so that the system can pick it, and never DEFAULT."""
    for rendition in view.renditions("AUDIO"):
        if DESCRIBES in rendition.attributes.get("CHARACTERISTICS", ""):
            if rendition.attributes.get("DEFAULT") == "YES":
                yield view.where(rendition), "a description is DEFAULT=YES."
            if rendition.attributes.get("AUTOSELECT") != "YES":
                yield view.where(rendition), "a description is not AUTOSELECT=YES."


def same_members(view: Hls) -> Iterator[Fault]:
    """RFC 4.3.4.2.1: all the groups of a kind have the same members."""
    groups = {
        group: {(member.attributes.get("LANGUAGE"), member.attributes.get("NAME")) for member in members}
        for group, members in view.groups("AUDIO").items()
    }
    everyone = set().union(*groups.values())
    for group, members in groups.items():
        for language, name in sorted(everyone - members, key=str):
            yield view.key, f"group {group} has no `{name}` ({language})."


def groups_exist(view: Hls) -> Iterator[Fault]:
    """RFC 4.3.4.2: the groups that a variant names have members."""
    for kind in ("AUDIO", "SUBTITLES"):
        groups = view.groups(kind)
        for variant in view.variants:
            group = variant.attributes.get(kind)
            if group is not None and group not in groups:
                yield view.where(variant), f"there is no {kind} group {group}."


def languages_are_tags(view: Hls) -> Iterator[Fault]:
    """RFC 4.3.4.1: LANGUAGE is a tag by BCP 47."""
    for rendition in _all(view):
        language = rendition.attributes.get("LANGUAGE", "")
        if language and not langcodes.tag_is_valid(language):
            yield view.where(rendition), f"`{language}` is no language."


def channels_are_counted(view: Hls) -> Iterator[Fault]:
    """RFC 4.3.4.1: CHANNELS begins with how many there are."""
    for rendition in view.renditions("AUDIO"):
        channels = rendition.attributes.get("CHANNELS", "")
        if channels and not _CHANNELS.fullmatch(channels):
            yield view.where(rendition), f"CHANNELS is `{channels}`."


def stereo_is_there(view: Hls) -> Iterator[Fault]:
    """Apple: stereo in AAC-LC, which every device plays, whatever else there is."""
    stereo = {
        group
        for group, members in view.groups("AUDIO").items()
        if all(member.attributes.get("CHANNELS") == "2" for member in members)
    }
    plain = [variant for variant in view.variants if _STEREO_AAC in variant.attributes.get("CODECS", "").split(",")]
    if not any(variant.attributes.get("AUDIO") in stereo for variant in plain):
        yield view.key, "no variant has stereo in AAC."


def default_is_chosen(view: Hls) -> Iterator[Fault]:
    """RFC 4.3.4.1: what is DEFAULT=YES is AUTOSELECT=YES."""
    for rendition in _all(view):
        if rendition.attributes.get("DEFAULT") == "YES" and rendition.attributes.get("AUTOSELECT") != "YES":
            yield view.where(rendition), "it is DEFAULT=YES, and not AUTOSELECT=YES."


def chosen_differ(view: Hls) -> Iterator[Fault]:
    """RFC 4.3.4.1.1: what is AUTOSELECT=YES differs from the rest of its group, so that one can be chosen."""
    for group, members in _all_groups(view):
        chosen = [_told_apart_by(member) for member in members if member.attributes.get("AUTOSELECT") == "YES"]
        for twice in sorted({one for one in chosen if chosen.count(one) > 1}):
            yield view.key, f"group {group} has two to choose in `{twice[0]}` that differ in nothing but their name."


def forced_is_chosen(view: Hls) -> Iterator[Fault]:
    """RFC 4.3.4.1: FORCED is for text; Apple: it is AUTOSELECT=YES, or nobody would see it; and never DEFAULT."""
    for rendition in _all(view):
        if rendition.attributes.get("FORCED") != "YES":
            continue
        if rendition.attributes["TYPE"] != "SUBTITLES":
            yield view.where(rendition), "FORCED is for subtitles."
        if (rendition.attributes.get("AUTOSELECT"), rendition.attributes.get("DEFAULT")) != ("YES", "NO"):
            yield view.where(rendition), "forced text is AUTOSELECT=YES and DEFAULT=NO."


def same_texts(view: Hls) -> Iterator[Fault]:
    """Apple: whatever variant is played, the same texts can be read."""
    groups = {variant.attributes.get("SUBTITLES", "") for variant in view.variants}
    if len(groups) > 1 or (view.groups("SUBTITLES") and groups == {""}):
        yield view.key, f"variants name {len(groups)} groups of subtitles: {', '.join(sorted(groups))}."


ERRORS: tuple[Rule[Hls], ...] = (
    rendition_attributes,
    names_differ,
    one_default,
    description_is_chosen,
    same_members,
    groups_exist,
    languages_are_tags,
    channels_are_counted,
    stereo_is_there,
    default_is_chosen,
    chosen_differ,
    forced_is_chosen,
    same_texts,
)


def _all(view: Hls) -> list[Tag]:
    return [*view.renditions("AUDIO"), *view.renditions("SUBTITLES")]


def _all_groups(view: Hls) -> list[tuple[str, list[Tag]]]:
    return [*view.groups("AUDIO").items(), *view.groups("SUBTITLES").items()]


def _told_apart_by(rendition: Tag) -> tuple[str, ...]:
    return tuple(rendition.attributes.get(name, "") for name in ("LANGUAGE", "FORCED", "CHARACTERISTICS"))
