"""
What opens media at an edge until an instant: a path prefix, which a playlist's relative URLs keep.

A token says whose viewer this is, so that an edge can tell episodes apart, and until when. It does not say which
tracks: edges can't know that, and their names are secret until the entry points disclose them.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import datetime

#: Hexadecimal digits of the MAC that are kept: 128 bits (RFC 2104, 5, allows half of SHA-256's).
MAC_LENGTH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Makes tokens that edges rendered with the same key accept."""

    #: Its letters are the key's bytes, here as at the edges.
    key: str = field(repr=False)

    def token(self, episode: str, until: datetime) -> str:
        """`EPISODE~UNTIL~MAC`, good before `until`, which is rounded down to a whole second."""
        said = f"{episode}~{int(until.timestamp()):010d}"
        mac = hmac.new(self.key.encode(), said.encode(), hashlib.sha256).hexdigest()
        return f"{said}~{mac[:MAC_LENGTH]}"

    def prefix(self, episode: str, until: datetime) -> str:
        """What stands before a track's or version's key: `k/TOKEN/`."""
        return f"k/{self.token(episode, until)}/"
