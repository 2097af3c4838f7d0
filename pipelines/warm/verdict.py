"""
Whether an answer came whole from the cache: one small function per kind of edge, of headers alone.

A cache's word for a copy that it asked about (STALE, EXPIRED, REVALIDATED, RefreshHit) is cold: at T, everyone would
ask. What a cache does not say is `unknown`, and counts as cold.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Literal

from pipelines.warm.edges import Kind

Verdict = Literal["hit", "cold", "unknown"]
#: Names in lower case; what came several times is joined with commas.
Headers = Mapping[str, str]

#: What must be asked of an edge so that it says anything.
ASKING: Mapping[Kind, Mapping[str, str]] = MappingProxyType(
    {
        "akamai": {"Pragma": "akamai-x-cache-on, akamai-x-cache-remote-on, akamai-x-get-cache-key"},
        "ats": {"X-Debug": "X-Cache, Via"},
        "fastly": {"Fastly-Debug": "1"},
    }
)


def verdict(kind: Kind, status: int, headers: Headers) -> Verdict:
    """Whether an answer came whole from the cache; only 200 and 206 hold the object."""
    return ADAPTERS[kind](headers) if status in (200, 206) else "cold"


def _nginx(headers: Headers) -> Verdict:
    """`$upstream_cache_status`, under the two names that configurations give it; a shield's comes first."""
    return _word(_last(headers.get("x-cache-status") or headers.get("x-cache", "")), {"HIT"})


def _varnish(headers: Headers) -> Verdict:
    """Two transactions in X-Varnish: this one, and the one that fetched. Behind a shield an Age may be the shield's."""
    ids = headers.get("x-varnish", "").rpartition(",")[2].split()
    if ids:
        return "hit" if len(ids) == 2 else "cold"  # noqa: PLR2004 - two ids are the hit itself
    if "x-cache" in headers:
        return _word(_last(headers["x-cache"]), {"HIT"})
    age = headers.get("age", "")
    if not age.isdecimal():
        return "unknown"
    return "hit" if int(age) else "cold"


def _ats(headers: Headers) -> Verdict:
    """`X-Cache: hit-fresh` of its debugging plugin, or the letter after `c` in Via: found, on disk or in memory."""
    if "x-cache" in headers:
        return _word(_last(headers["x-cache"]), {"HIT-FRESH", "HIT"})
    codes = re.findall(r"\[(?:u.)?c([A-Z ])s", headers.get("via", ""))
    if not codes:
        return "unknown"
    return "hit" if codes[-1] in "HR" else "cold"


def _cloudfront(headers: Headers) -> Verdict:
    """`Miss`, `RefreshHit`, `Error` and `LambdaGeneratedResponse` came from elsewhere."""
    return _word(headers.get("x-cache", ""), {"HIT FROM CLOUDFRONT"})


def _fastly(headers: Headers) -> Verdict:
    """Shield first, the PoP nearest the viewer last: `MISS, HIT`."""
    return _word(_last(headers.get("x-cache", "")), {"HIT"})


def _cloudflare(headers: Headers) -> Verdict:
    return _word(headers.get("cf-cache-status", ""), {"HIT"})


def _akamai(headers: Headers) -> Verdict:
    """`TCP_HIT from a23-…`: from disk or memory. TCP_REFRESH_HIT and TCP_NEGATIVE_HIT are none."""
    return _word(headers.get("x-cache", "").partition(" ")[0], {"TCP_HIT", "TCP_MEM_HIT"})


def _rfc9211(headers: Headers) -> Verdict:
    """The cache nearest the client comes last. A cache that forwarded may also say `hit` (RFC 9211, 2.2)."""
    said = re.sub(r'"(?:\\.|[^"\\])*"', "", headers.get("cache-status", ""))
    if not said:
        return "unknown"
    parameters = {part.strip() for part in _last(said).split(";")[1:]}
    hit = not parameters.isdisjoint({"hit", "hit=?1"})
    forwarded = any(part.partition("=")[0] == "fwd" for part in parameters)
    return "hit" if hit and not forwarded else "cold"


ADAPTERS: Mapping[Kind, Callable[[Headers], Verdict]] = MappingProxyType(
    {
        "nginx": _nginx,
        "varnish": _varnish,
        "ats": _ats,
        "cloudfront": _cloudfront,
        "fastly": _fastly,
        "cloudflare": _cloudflare,
        "akamai": _akamai,
        "rfc9211": _rfc9211,
    }
)


def cache_name(kind: Kind, headers: Headers) -> str:
    """Which cache says that it answered; empty when it does not say."""
    return NAMING[kind](headers)


def _from_akamai(headers: Headers) -> str:
    return headers.get("x-cache", "").partition(" from ")[2].partition(" ")[0]


def _in_cache_status(headers: Headers) -> str:
    return _last(headers.get("cache-status", "")).partition(";")[0].strip().strip('"')


def _in_via(headers: Headers) -> str:
    """`1.1 cdg-3 (Varnish/7.1)`: who passed it on last comes last (RFC 9110, 7.6.3)."""
    return " ".join(_last(headers.get("via", "")).split()[1:2])


NAMING: Mapping[Kind, Callable[[Headers], str]] = MappingProxyType(
    {
        "nginx": lambda headers: _last(headers.get("x-served-by", "")) or _in_cache_status(headers),
        "varnish": _in_via,
        "ats": _in_via,
        "cloudfront": lambda headers: headers.get("x-amz-cf-pop", ""),
        "fastly": lambda headers: _last(headers.get("x-served-by", "")).rpartition("-")[2],
        "cloudflare": lambda headers: headers.get("cf-ray", "").rpartition("-")[2],
        "akamai": _from_akamai,
        "rfc9211": _in_cache_status,
    }
)


def age(kind: Kind, headers: Headers) -> int | None:
    """Seconds that the copy has been kept, by the cache's own word; nginx only repeats what another cache told it."""
    said = "" if kind == "nginx" else headers.get("age", "").partition(",")[0].strip()
    return int(said) if re.fullmatch(r"[0-9]{1,10}", said) else None


def freshness(kind: Kind, headers: Headers, now: datetime) -> float | None:
    """
    Seconds for which the copy may still be served without asking; None when nothing says so.

    A cache that tells no Age may have kept it since it was written: that is what is assumed.
    """
    parts = (part.partition("=") for part in headers.get("cache-control", "").split(","))
    directives = {name.strip().lower(): value.strip().strip('"') for name, _, value in parts}
    if not directives.keys().isdisjoint({"no-store", "no-cache", "private"}):
        return 0.0
    lifetime = directives.get("s-maxage", directives.get("max-age", ""))
    if not re.fullmatch(r"[0-9]{1,10}", lifetime):
        return None
    kept = age(kind, headers)
    return int(lifetime) - (kept if kept is not None else _since(headers.get("last-modified", ""), now))


def _since(date: str, now: datetime) -> float:
    try:
        written = parsedate_to_datetime(date)
    except ValueError:
        return 0.0
    return max(0.0, (now - written).total_seconds()) if written.tzinfo else 0.0


def _last(text: str) -> str:
    return text.rpartition(",")[2].strip()


def _word(said: str, hits: set[str]) -> Verdict:
    if not said:
        return "unknown"
    return "hit" if said.strip().upper() in hits else "cold"
