"""
What one edge is to be, whichever server does it; and a template filled in with that.

A shield differs from a PoP in two answers only: who may ask (`door`), and who is asked (`Origin.bucket`).
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

from pipelines.errors import ConfigurationError

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy" / "edge"

#: What stores say about themselves, and to browsers: none of it leaves the edge.
HIDDEN = (
    "Set-Cookie",
    "Vary",
    "Content-Disposition",
    "X-Request-Id",
    "Seaweed-X-Amz-Etag",
    "Seaweed-X-Amz-Owner",
    "x-amz-request-id",
    "x-amz-id-2",
    "x-amz-version-id",
    "x-amz-expiration",
    "x-amz-checksum-sha256",
    "x-amz-checksum-type",
    "x-amz-checksum-crc32",
    "x-amz-checksum-crc64nvme",
    "x-amz-server-side-encryption",
    "x-amz-storage-class",
    "x-amz-replication-status",
    "x-amz-tagging-count",
    "x-amz-mp-parts-count",
    "x-amz-meta-sha256",
    "Access-Control-Allow-Origin",
    "Access-Control-Allow-Methods",
    "Access-Control-Allow-Headers",
    "Access-Control-Allow-Credentials",
    "Access-Control-Expose-Headers",
    "Access-Control-Max-Age",
    # A shield's own, which the PoP says again.
    "X-Cache-Status",
    "X-Content-Type-Options",
)
#: What a script in a browser may read of an answer.
EXPOSED = "Content-Length, Content-Range, Date, Cache-Status, X-Cache-Status"

#: Long enough not to be guessed, and nothing that means something in a configuration.
SECRET = re.compile(r"[A-Za-z0-9_-]{16,128}")
#: RFC 8941's token, as far as we need it: it stands in Cache-Status.
NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
CONDITION = re.compile(r"%([a-z,]+) ?(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Whom an edge asks for what it has not."""

    #: `http://host:port`.
    endpoint: str
    #: Of a store; None for a shield, whose paths are the viewers' own.
    bucket: str | None
    #: The Referer that the bucket's policy, or the shield's door, asks for.
    secret: str = field(repr=False)

    @property
    def host(self) -> str:
        """`host:port`. Raises `ConfigurationError` for what is no such endpoint."""
        parts = urlsplit(self.endpoint)
        if parts.scheme != "http" or not re.fullmatch(r"[\w.-]+(:\d+)?", parts.netloc) or parts.path.strip("/"):
            raise ConfigurationError(
                f"The origin `{self.endpoint}` is not http://host:port.",
                hint="This edge speaks plain HTTP to an origin beside it.",
            )
        return parts.netloc

    @property
    def prefix(self) -> str:
        """What stands before a viewer's path."""
        if self.bucket is None:
            return ""
        if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,62}", self.bucket):
            raise ConfigurationError(f"`{self.bucket}` is not the name of a bucket.", hint="Name the bucket.")
        return f"/{self.bucket}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one episode may have of an edge: set them to about four fifths of what the whole edge can do."""

    #: Requests a second; one more second's worth may come at once.
    asked: int = 20_000
    #: Requests in flight. nginx only: where Varnish's requests wait, they hold nothing but a connection.
    waiting: int = 6_000
    #: Objects on their way from the origin at a time (nginx), or begun in a second (Varnish).
    fills: int = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One edge: what it calls itself in Cache-Status, whom it asks, who may ask it, and how much."""

    name: str = "edge"
    #: The first is asked; the second, if there is one, when the first refuses or fails.
    origins: tuple[Origin, ...]
    #: Without it anyone may ask, as viewers do. With it, only who sends it as Referer: then this is a shield.
    door: str | None = field(default=None, repr=False)
    #: With it, media wants a token made with the same key; without it, none.
    token_key: str | None = field(default=None, repr=False)
    limits: Limits = Limits()
    #: A page that plays `/#EPISODE` stands at `/`. nginx only.
    player: bool = False
    #: Of the cache: `500m`, `20g`.
    cache_size: str = "20g"

    @property
    def holds(self) -> frozenset[str]:
        """The words after a percent sign whose lines stand."""
        said = {
            "door": self.door is not None,
            "viewers": self.door is None,
            "tokens": self.token_key is not None,
            "open": self.token_key is None,
            "shielded": self.origins[0].bucket is None,
            "stored": self.origins[0].bucket is not None,
            "second": len(self.origins) > 1,
            "player": self.player,
        }
        return frozenset(word for word, holds in said.items() if holds)


def facts(site: Site) -> dict[str, str]:
    """What templates of both servers name. Raises `ConfigurationError` for what would mean something else there."""
    if not NAME.fullmatch(site.name):
        raise ConfigurationError(
            f"`{site.name}` can't be an edge's name.", hint="Take small letters, digits and dashes, a letter first."
        )
    if len(site.origins) not in (1, 2) or len({origin.bucket is None for origin in site.origins}) != 1:
        raise ConfigurationError("An edge has one or two origins, both stores or both shields.", hint="Name those.")
    if site.door is not None and site.token_key is not None:
        raise ConfigurationError("A shield can't ask for tokens: PoPs have taken them off.", hint="Leave one out.")
    for secret in (site.door, site.token_key, *(origin.secret for origin in site.origins)):
        if secret is not None and not SECRET.fullmatch(secret):
            raise ConfigurationError(
                "An edge's secret is not 16 to 128 letters, digits, dashes and underscores.", hint="Generate another."
            )
    if not re.fullmatch(r"[1-9][0-9]*[mg]", site.cache_size):
        raise ConfigurationError(f"`{site.cache_size}` is not a size.", hint="Say 500m or 20g.")
    said = {
        "name": site.name,
        "exposed": EXPOSED,
        "door": site.door or "",
        "token_key": site.token_key or "",
        "cache_size": site.cache_size,
        "asked": str(site.limits.asked),
        "waiting": str(site.limits.waiting),
        "fills": str(site.limits.fills),
        "second": "",
        "second_prefix": "",
        "second_secret": "",
    }
    for nth, origin in zip(("first", "second"), site.origins, strict=False):
        said |= {nth: origin.host, f"{nth}_prefix": origin.prefix, f"{nth}_secret": origin.secret}
    return said


def fill(template: Path, holds: Collection[str], said: Mapping[str, str]) -> str:
    """The template without the lines whose condition does not hold, with every name filled in."""
    kept = []
    for line in template.read_text(encoding="utf-8").splitlines(keepends=True):
        conditional = CONDITION.match(line)
        if conditional is None:
            kept.append(line)
        elif set(conditional[1].split(",")) <= set(holds):
            kept.append(conditional[2])
    return Template("".join(kept)).substitute(said)


def plain(*paths: Path) -> None:
    """Raises `ConfigurationError` for a path that would mean something else in a configuration."""
    for path in paths:
        if re.search(r'["\\$%\n]', str(path)):
            raise ConfigurationError(
                f"An edge can't work in {path}: it holds a quote, a dollar, a percent sign or a backslash.",
                hint="Take another folder.",
            )


def write(path: Path, text: str) -> Path:
    """`text` in a file that was never readable by others: it holds secrets."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(text, encoding="utf-8")
    return path
