"""
What must not leave the process, taken out of whatever is logged or reported.

Two nets: the secrets that our settings hold, wherever they turn up, and whatever looks like one: a password or key in
an address, the query of a signed URL, the path of a loopback address that serves a source. Paths of sources stay.
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from pydantic import SecretStr

from pipelines.tools.process import discreet
from workers.settings import Settings

GONE = "***"
#: Characters: a shorter secret is taken out of addresses only; anywhere else it would be found in every second word.
SHORTEST = 6
#: Characters of one text, and how deep values may be nested; what is beyond says nothing any more.
LONGEST, DEEPEST = 16_384, 12
#: Characters looked at beyond what is kept.
MARGIN = 4_096

#: What looks like a secret, and what is left of it. Each takes time in proportion to the text: films write some of it.
PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # Who, and with which password or key: all of it up to the last @ before the path.
    (re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]{1,15}://)[^\s/]*@"), rf"\1{GONE}@"),
    # Whatever signs a URL stands in its query, and nobody needs the rest of that.
    (re.compile(r"(https?://[^\s?'\"<>]{1,2000})\?[^\s'\"<>]+"), rf"\1?{GONE}"),
    # A token of viewers, the first part of a media path.
    (re.compile(r"(https?://[^\s/]+/k/)[^\s/]+"), rf"\1{GONE}"),
    # Headers, to the end of their line.
    (
        re.compile(r"(?i)\b((?:proxy-)?authorization|cookie|x-amz-security-token)\b(['\"]?\s*[:=])[^\r\n]*"),
        rf"\1\2 {GONE}",
    ),
    # key=value, as in libpq's own words, and JSON.
    (
        re.compile(
            r"(?i)((?:password|passwd|secret|api[_-]?key|signature)(?:[_-]?key)?)\b(['\"]?\s*[:=]\s*)(?:\"[^\"]*\"|'[^']*'|[^\s,;&'\"]+)"
        ),
        rf"\1\2{GONE}",
    ),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), GONE),
    (re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), GONE),  # the name of an AWS credential
)
#: A key whose value is one, whatever it looks like.
NAMED = re.compile(r"(?i)passw|secret|api_?key|authorization|cookie|dsn")
#: Characters that would steer a terminal, or can't be written as UTF-8: lone surrogates stand for bytes of a name.
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Scrubber:
    """Takes `secrets`, and all that looks like one, out of texts and values."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {spelt for secret in secrets for spelt in (secret, quote(secret, safe=""), unquote(secret))}
        worth = sorted((secret for secret in known if len(secret) >= SHORTEST), key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, worth))) if worth else None

    def text(self, text: str) -> str:
        """`text` without secrets, of printable characters and lines, and not endless."""
        beyond = len(text) - LONGEST
        text = text[: LONGEST + MARGIN]  # a secret across the cut would be told by half
        if self._known:
            text = self._known.sub(GONE, text)
        for pattern, left in PATTERNS:
            text = pattern.sub(left, text)
        text = UNPRINTABLE.sub(lambda found: f"\\x{ord(found[0]):02x}", discreet(text))
        return text if beyond <= 0 else f"{text[:LONGEST]} … and about {beyond} characters more"

    def value(self, value: Any, depth: int = 0) -> Any:
        """The same for a value of any kind; what comes back is JSON's."""
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else str(value)
        if isinstance(value, bytes | bytearray):
            return self.text(value.decode(errors="replace"))
        if depth < DEEPEST and isinstance(value, Mapping):
            return {
                self.text(str(key)): GONE if NAMED.search(str(key)) else self.value(each, depth + 1)
                for key, each in value.items()
            }
        if depth < DEEPEST and isinstance(value, list | tuple | set | frozenset):
            return [self.value(each, depth + 1) for each in value]
        return self.text(str(value))


def scrubber(settings: Settings) -> Scrubber:
    """One that knows every secret of `settings`."""
    return Scrubber(_secrets(settings))


def _secrets(settings: Settings) -> Iterable[str]:
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            yield value.get_secret_value()
            yield from _passwords(value.get_secret_value())  # a Sentry address is one, and holds another
        elif isinstance(value, str):
            yield from _passwords(value)


def _passwords(address: str) -> Iterable[str]:
    try:
        split = urlsplit(address)
    except ValueError:  # no address, or one that whoever opens it will refuse
        return
    if not split.scheme:
        return
    yield split.password or ""
    if split.scheme in ("http", "https"):
        yield split.username or ""  # a Sentry address's key stands where others have a name
