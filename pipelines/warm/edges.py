"""
`edges.toml`: the caches that stand between viewers and the store, how to reach each, and how much each may be asked.

Secrets stand in files that it names: by a path, or, by a name alone, among systemd's credentials.
What an address or a name means to the network is not judged here; that is found out when an edge is asked.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pipelines.errors import ConfigurationError
from presets.document import Document, nearest

Kind = Literal["nginx", "varnish", "ats", "cloudfront", "fastly", "cloudflare", "akamai", "rfc9211"]

#: What may stand in a path or a header as it is: a token, what a shield's door asks for.
SECRET = re.compile(r"[A-Za-z0-9._~-]{1,512}")

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]


class Capacity(Document):
    """What may be taken while warming. What is not given is not limited."""

    bits_per_second: Annotated[int, Field(ge=8_000)] | None = None
    """Bodies, in bits per second."""
    requests_per_second: Annotated[float, Field(gt=0)] | None = None
    """Requests."""
    daily_bytes: Annotated[int, Field(ge=1)] | None = None
    """Quota of one day, in bytes; what does not fit is left cold, the least wanted first."""
    daily_requests: Annotated[int, Field(ge=1)] | None = None
    """Quota of one day, in requests."""
    connections: Annotated[int, Field(ge=1, le=256)] = 8
    """Requests at a time: enough to hide latency, too few to crowd out viewers."""


class Edge(Document):
    """One cache that stands between viewers and the store."""

    name: Name
    """What reports call it."""
    kind: Kind = "nginx"
    """Which headers say whether it was a hit."""
    url: Annotated[str, Field(pattern=r"^https?://[^/\s?#@]+/?$")]
    """Scheme, host and port that viewers use."""
    address: Annotated[str, Field(pattern=r"^(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-fA-F:]+\]):\d{1,5}$")] | None = None
    """`IP:port` to connect to, so that this PoP answers and no other; Host, SNI and certificate stay those of `url`."""
    pop: str = ""
    """How its answers begin to name the cache (`CDG`); without it, whoever answers at the address is believed."""
    ca: Path | None = None
    """PEM file of the authorities that may vouch for its certificate. Default: the system's."""
    role: Literal["pop", "shield"] = "pop"
    """A shield stands between PoPs and the store, and is warmed before them."""
    shield: Name | None = None
    """Name of the shield that it fills from."""
    region: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None
    """Country of most of its viewers (ISO 3166-1), whose language is warmed first there."""
    audience: Annotated[float, Field(gt=0)] = 1.0
    """Its share of viewers, next to the other edges': of two, the larger is warmed first."""
    sample: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the objects beyond T1 that the proof asks for; T0 and T1 are always proved whole."""
    token_key: Path | None = None
    """File with the key that it checks tokens with: media is then asked for below `/k/TOKEN/`, and tokens made here."""
    tokens: Path | None = None
    """Instead of the key, a file with two or more tokens that it accepts, one to a line."""
    door: Path | None = None
    """File with what it wants to be told as `Referer`, as our reference shield does: viewers may not come there."""
    capacity: Capacity = Capacity()
    """What warming may take of it."""
    total: Capacity | None = None
    """What warming may take of all edges together; written once, at the top of the document."""

    @property
    def identity(self) -> dict[str, Any]:
        """What a proof is a proof of. What it may be asked is no part: a larger quota makes no cache cold."""
        return self.model_dump(mode="json", include={"name", "kind", "url", "address", "pop"}, exclude_none=True)


def secrets(edge: Edge, path: Path) -> tuple[str, ...]:
    """What a file of the edge's holds, one to a line. Raises `ConfigurationError`, which does not repeat it."""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    where = Path(credentials) / path if credentials and str(path) == path.name else path
    try:
        listed = tuple(line.strip() for line in where.read_text(encoding="ascii").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"Edge {edge.name}: {where} can't be read.", hint="Check the path, and who may read it."
        ) from error
    if not listed or not all(SECRET.fullmatch(each) for each in listed):
        raise ConfigurationError(
            f"Edge {edge.name}: {path} does not hold letters, digits and `-_.~` alone.", hint="Look what it is."
        )
    return listed


class Edges(Document):
    """`edges.toml`: every edge that must be warm before a release."""

    total: Capacity | None = None
    """What warming may take of all edges together, on each host that warms."""
    edges: tuple[Edge, ...] = ()
    """The edges."""

    @model_validator(mode="after")
    def _named(self) -> "Edges":
        known = {edge.name: edge for edge in self.edges}
        if len(known) < len(self.edges):
            twice = next(n for n in known if sum(edge.name == n for edge in self.edges) > 1)
            raise ValueError(f"two edges are called `{twice}`")
        for edge in self.edges:
            _check_shield(edge, known)
            if edge.tokens and edge.token_key:
                raise ValueError(f"`{edge.name}` has both `token_key` and `tokens`; one is enough")
        return self

    @property
    def listed(self) -> tuple[Edge, ...]:
        """In the order in which they are to be warmed: shields, then where most viewers are. Each knows the total."""
        first = sorted(self.edges, key=lambda edge: (edge.role != "shield", -edge.audience))
        return tuple(edge.model_copy(update={"total": self.total}) for edge in first) if self.total else tuple(first)


def _check_shield(edge: Edge, known: Mapping[str, Edge]) -> None:
    if edge.shield is None:
        return
    if edge.role == "shield":
        raise ValueError(f"`{edge.name}` is a shield and can't stand behind another, `{edge.shield}`")
    shields = [name for name, other in known.items() if other.role == "shield"]
    if edge.shield in shields:
        return
    meant = nearest(edge.shield, shields)
    raise ValueError(
        f'`{edge.name}` names the shield `{edge.shield}`, which is no edge with `role = "shield"`'
        + (f"; did you mean `{meant}`" if meant else "")
    )
