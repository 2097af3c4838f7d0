"""What a step leaves behind, and what the next one starts from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

ArtifactKind = Literal["chunk", "sound", "track", "version", "verification", "warmth"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One output, named by the digest of all that went into it; known before the work starts."""

    digest: str
    kind: ArtifactKind
    #: Where its bytes are in the store: an object for chunks and sounds, a prefix ending in "/" for the others.
    key: str
    #: Bytes in all.
    size: int
    #: Of the object; for a track or a version, of its inventory.
    sha256: str
    #: What was measured while it was made, in the shape its room defines. Provenance stands under "tools".
    facts: Mapping[str, Any] = field(default_factory=dict)
