"""
Tracks in, a version out: the manifests that name them, published under the version's own name; then verified.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from pipelines.cadence import Cadence

#: Raised by hand when our own method changes what comes out.
RECIPE = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A chapter, in seconds of the programme."""

    kind: str
    start: Fraction
    end: Fraction | None
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What manifests say beyond what the tracks are: who is offered what first."""

    title: str
    #: The audio that players pick unless the viewer chose.
    default_language: str
    cadence: Cadence
    #: Frames of the programme.
    frames: int
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposeJob:
    """Tracks to be named by manifests."""

    kind: Literal["compose"] = "compose"
    #: Of the version.
    digest: str
    #: Digests of the tracks, in the order of the plan.
    tracks: tuple[str, ...]
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyJob:
    """A version to be checked, object by object and rule by rule, against what is in the store."""

    kind: Literal["verify"] = "verify"
    #: Of the verification.
    digest: str
    version: str
    tracks: tuple[str, ...]
    policy: Policy
