"""What one answer proves, and what it gives away. Pure: a fault is a value, and each has a sentence and a remedy."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Literal

from pipelines.warm.edges import Edge
from pipelines.warm.sweep import Heard
from pipelines.warm.verdict import age, cache_name, freshness, verdict

#: For how long copies must still be fresh at the release: the whole first day is served without asking.
FRESH = timedelta(hours=24)
#: Seconds by which a copy's age may be off: both its instants are whole seconds, and answers take time.
ROUNDING = 2.0
#: What an origin gives to each content: in one copy it stays.
CONTENT = ("etag", "last-modified")
#: What a store gives to each answer, and our edges to each fetch from a store: in one copy it stays, be it a shield's.
FETCH = ("x-amz-request-id", "x-amz-id-2", "avant-copy")
#: What our shields give to each answer: in a PoP's copy it stays.
ANSWER = "avant-answer"
#: By these alone a PoP shows that the copy is its own: the shield's answer, or Varnish's own fetch, that it came by.
KEPT = (ANSWER, "x-varnish")

FaultKind = Literal[
    "cold", "unknown", "absent", "stale", "short", "different", "elsewhere", "refetched", "varies", "tokens", "evicted"
]

#: What each means, and what to do about it.
MEANING: Mapping[FaultKind, tuple[str, str]] = MappingProxyType(
    {
        "cold": (
            "did not come from its cache when asked again",
            "See whether it may keep them, and has room for them.",
        ),
        "unknown": ("came without a word about its cache", "See whether `kind` in edges.toml is what it is."),
        "absent": ("are published, but it says that there is nothing", "Purge what it remembers as missing there."),
        "stale": ("are stale, or soon would be", "See what lifetime it gives them; `max-age` says a year."),
        "short": ("came with another length", "Purge them there, and find out who shortens them."),
        "different": ("came with other bytes", "Purge them there, and find out who changes them."),
        "elsewhere": ("came from another cache than `pop` says", "Correct `address` or `pop` in edges.toml."),
        "refetched": (
            "were called hits, but are new copies each time",
            "It asks its origin whatever it says: look at its caching rules and at what it passes on.",
        ),
        "varies": (
            "are kept once for each kind of player",
            "Take what players send (User-Agent, Origin, Accept-Encoding of media…) out of its cache key.",
        ),
        "tokens": ("are kept once for each token", "Take the token out of its cache key."),
        "evicted": ("were warm and are gone", "Its cache is too small, or others push them out: give it room."),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why an answer is no proof."""

    kind: FaultKind
    #: `status 404`, `1000 of 2000 bytes`.
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What counts as warm at one edge."""

    edge: Edge
    #: When copies must still be fresh: a day after the release.
    until: datetime

    def fault(self, heard: Heard, *, kept_since: datetime | None = None) -> Fault | None:
        """What `heard` lacks to be proof. Copies may be no younger than `kept_since`, when the warming ended."""
        answer = heard.answer
        said = verdict(self.edge.kind, answer.status, answer.headers)
        if answer.status in (403, 404, 410):
            return Fault(kind="absent", detail=f"status {answer.status}")
        if _admits_staleness(answer.headers):
            return Fault(kind="stale", detail="by its own word")
        if said == "unknown":
            return Fault(kind="unknown", detail=f"status {answer.status}")
        if said == "cold":
            return Fault(kind="cold", detail=f"status {answer.status}")
        return self._content(heard) or self._copy(heard, kept_since)

    def _content(self, heard: Heard) -> Fault | None:
        answer, item = heard.answer, heard.ask.item
        if answer.status == 206:  # noqa: PLR2004 - a part, asked for by a trial
            return None
        # A body that we can't decompress is judged by the cache's word alone.
        if answer.size not in (None, item.size):
            return Fault(kind="short", detail=f"{answer.size} of {item.size} bytes")
        if answer.sha256 not in ("", item.sha256):
            return Fault(kind="different", detail=f"sha256 {answer.sha256[:12]}…, not {item.sha256[:12]}…")
        return None

    def _copy(self, heard: Heard, kept_since: datetime | None) -> Fault | None:
        headers = heard.answer.headers
        name = cache_name(self.edge.kind, headers)
        if self.edge.pop and not name.startswith(self.edge.pop):
            return Fault(kind="elsewhere", detail=f"`{name}`" if name else "it does not say which")
        left = freshness(self.edge.kind, headers, heard.at)
        if left is None:
            return Fault(kind="stale", detail="no lifetime is told")
        if heard.at + timedelta(seconds=left) < self.until:
            return Fault(kind="stale", detail=f"fresh for {left / 3600:.1f} h more")
        born = _born(self.edge, heard)
        if kept_since and born and born > kept_since + timedelta(seconds=ROUNDING):
            return Fault(kind="refetched", detail=f"Age {headers['age']}, though warmed before")
        return None


def same_copy(edge: Edge, first: Heard, second: Heard) -> bool | None:
    """Whether two hits were of one copy; None when nothing tells."""
    numbers, other = _numbers(edge, first), _numbers(edge, second)
    if numbers != other:
        return False
    begin, end = began(edge, first), began(edge, second)
    if begin and end and end >= begin + timedelta(seconds=ROUNDING):
        return False
    if any(numbers.get(name) for name in KEPT):
        return True
    # All else may be what a shield has kept, word for word, while this edge keeps nothing.
    told = begin or any(name in numbers for name in FETCH)
    return True if told and not edge.shield else None


def needs_time(edge: Edge, heard: Heard) -> bool:
    """Whether it takes a while until another hit tells more than this one."""
    numbers = _numbers(edge, heard)
    return began(edge, heard) is not None and not any(numbers.get(name) for name in KEPT)


def _numbers(edge: Edge, heard: Heard) -> Mapping[str, str]:
    """What one copy always says, and another may say differently."""
    headers = heard.answer.headers
    asked = (*CONTENT, *FETCH, *(() if edge.role == "shield" else (ANSWER,)))
    found = {name: headers[name] for name in asked if name in headers}
    if edge.kind == "varnish":
        found["x-varnish"] = " ".join(headers.get("x-varnish", "").rpartition(",")[2].split()[1:])
    return found


def _born(edge: Edge, heard: Heard) -> datetime | None:
    """When the copy was fetched, by its Age."""
    kept = age(edge.kind, heard.answer.headers)
    return None if kept is None else heard.at - timedelta(seconds=kept)


def began(edge: Edge, heard: Heard) -> datetime | None:
    """The same, or else by the origin's Date, which caches give on (RFC 9110, 6.6.1); nginx tells its own."""
    born, date = _born(edge, heard), heard.answer.headers.get("date", "")
    if born or edge.kind == "nginx":
        return born
    try:
        return parsedate_to_datetime(date).astimezone(UTC)
    except ValueError:
        return None


def _admits_staleness(headers: Mapping[str, str]) -> bool:
    """`Warning: 110` (Response is Stale), or the word in what the cache says of this answer."""
    said = (headers.get(name, "") for name in ("x-cache-status", "x-cache", "cf-cache-status"))
    return headers.get("warning", "").startswith("110") or any("STALE" in word.upper() for word in said)
