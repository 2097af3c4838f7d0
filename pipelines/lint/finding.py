"""What a rule is, what it looks at, and what it says."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from posixpath import dirname, join, normpath
from typing import Literal, TypeVar

Severity = Literal["error", "warning"]

#: Share by which what is promised may differ from what is measured (Apple's authoring specification).
TOLERANCE = Fraction(1, 10)
#: Seconds of an AAC frame, at 48 kHz: sound can't be cut any nearer to the picture.
AAC_FRAME = Fraction(1024, 48_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that is broken, and where."""

    rule: str
    severity: Severity
    #: A manifest's key, and perhaps what in it.
    where: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.where}: {self.sentence} ({self.rule})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """What is stored, as far as manifests can say something wrong about it."""

    #: Playlists, MPDs and WebVTT indexes, by key.
    texts: Mapping[str, str]
    #: Bytes of every object, by key.
    sizes: Mapping[str, int]


#: (where, sentence)
Fault = tuple[str, str]
View = TypeVar("View")
Rule = Callable[[View], Iterator[Fault]]


def judged(view: View, errors: Iterable[Rule[View]], warnings: Iterable[Rule[View]]) -> list[Finding]:
    """What all the rules say of the view."""
    severities: list[tuple[Severity, Iterable[Rule[View]]]] = [("error", errors), ("warning", warnings)]
    return [
        Finding(rule=rule_name(rule), severity=severity, where=where, sentence=sentence)
        for severity, rules in severities
        for rule in rules
        for where, sentence in rule(view)
    ]


def rule_name(rule: Callable[..., object]) -> str:
    """`one_default` → `one-default`"""
    return rule.__name__.replace("_", "-")


def resolved(manifest: str, uri: str) -> str:
    """The key of what the manifest at that key calls `uri`."""
    return normpath(join(dirname(manifest), uri))


def differs(promised: int, measured: int) -> bool:
    """Whether a promise is further from the measure than Apple tolerates."""
    return abs(promised - measured) > TOLERANCE * measured
