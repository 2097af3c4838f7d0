"""
What may be released of an episode: first a version of what its release waits for, then one with what follows.

Each edition is a version of its own: manifests, their verification, its warmth at every edge. Whichever is the fullest
that is whole at T is what viewers get; the rest follows without their noticing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pipelines import version, warm
from pipelines.encode import EncodeJob
from pipelines.matrix import URGENCIES, PlannedTrack, Urgency, urgency_of
from pipelines.policy import Policy
from pipelines.step import Step, step_of
from pipelines.version import ComposeJob, VerifyJob
from pipelines.warm import Edge, WarmJob
from pipelines.wire import digest, to_data


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What all editions of an episode have in common."""

    policy: Policy
    #: Where they must be warm.
    edges: tuple[Edge, ...]
    #: When viewers get them, if that is known.
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """A version that may be released, and what must hold before."""

    #: It holds all that is at least so urgent.
    urgency: Urgency
    #: Digest of the version, and of the check that must pass.
    version: str
    verification: str
    #: Digests of the evidence of warmth, by edge.
    warmth: dict[str, str]
    #: Digests of its tracks, in the order of its manifests.
    tracks: tuple[str, ...]

    @property
    def goals(self) -> tuple[str, ...]:
        """What must exist before it is released."""
        return (self.verification, *self.warmth.values())


def offered(promised: Sequence[Edition], viewers: str | None) -> Sequence[Edition]:
    """Those of `promised` that may go out, the least first, when viewers have the version `viewers`, if any."""
    if viewers and all(edition.version != viewers for edition in promised):
        return promised[-1:]  # viewers have more than the least of another delivery: they must not lose it
    return promised


def arranged(media: Iterable[Step], tracks: Iterable[PlannedTrack]) -> tuple[Step, ...]:
    """
    The same work, each step as urgent as the most urgent track that it leads to.

    A chunk's rungs are encoded together as far as they are equally urgent: what follows must not delay what is waited
    for. Steps stand in running order, and stay in it.
    """
    wanted = {track.digest: track.urgency for track in tracks}
    done: list[Step] = []
    for step in reversed(tuple(media)):
        for part in reversed(_parts(step, wanted)):
            done.append(part)
            for need in part.needs:
                wanted[need] = urgency_of((part.urgency, wanted.get(need, "later")))
    encodes = [step for step in reversed(done) if isinstance(step.job, EncodeJob)]
    others = [step for step in reversed(done) if not isinstance(step.job, EncodeJob)]
    return (*sorted(encodes, key=lambda step: URGENCIES.index(step.urgency)), *others)


def rejoined(steps: Iterable[Step]) -> tuple[Step, ...]:
    """The steps that make tracks, the rungs of each chunk together again: what `arranged` was given."""
    chunks: dict[object, Step] = {}
    others = []
    for step in steps:
        job = step.job
        if isinstance(job, EncodeJob):
            before = chunks.get(place := (job.source, job.first_frame))
            chunks[place] = _joined(before, step) if before else step
        elif not isinstance(job, ComposeJob | VerifyJob | WarmJob):
            others.append(step)
    return (*chunks.values(), *others)


def editions(tracks: Sequence[PlannedTrack], terms: Terms) -> tuple[tuple[Edition, ...], tuple[Step, ...]]:
    """The editions of these tracks, the least first, and the steps that make them."""
    found: list[Edition] = []
    steps: list[Step] = []
    for urgency in URGENCIES:
        last = found[-1] if found else None
        held = tuple(track.digest for track in tracks if URGENCIES.index(track.urgency) <= URGENCIES.index(urgency))
        if held and (last is None or held != last.tracks):
            edition, own = _edition(held, urgency, terms, last)
            found.append(edition)
            steps += own
    return tuple(found), tuple(steps)


def with_tails(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Each step with the length of the longest way from its start to the end of what is at least as urgent."""
    longest: dict[tuple[str, Urgency], float] = {}  # from an artifact's existence to the end
    done = []
    for step in reversed(tuple(steps)):
        counted = URGENCIES[: URGENCIES.index(step.urgency) + 1]
        tail = step.cost + max(longest.get((made, urgency), 0.0) for made in step.makes for urgency in counted)
        for need in step.needs:
            longest[need, step.urgency] = max(longest.get((need, step.urgency), 0.0), tail)
        done.append(replace(step, tail=tail))
    return tuple(reversed(done))


def _parts(step: Step, wanted: dict[str, Urgency]) -> list[Step]:
    job = step.job
    if not isinstance(job, EncodeJob):
        return [replace(step, urgency=urgency_of(wanted[made] for made in step.makes))]
    verb, span, *names = step.label.split()
    parts = []
    for urgency in URGENCIES:
        kept = [(rung, name) for rung, name in zip(job.rungs, names, strict=True) if wanted[rung.digest] == urgency]
        if kept:
            rungs, labels = zip(*kept, strict=True)
            label = " ".join((verb, span, *labels))
            parts.append(step_of(replace(job, rungs=rungs), label=label, urgency=urgency))
    return parts


def _joined(one: Step, other: Step) -> Step:
    assert isinstance(one.job, EncodeJob)  # noqa: S101 - both were found by that
    assert isinstance(other.job, EncodeJob)  # noqa: S101
    verb, span, *names = one.label.split()
    both = [*zip(one.job.rungs, names, strict=True), *zip(other.job.rungs, other.label.split()[2:], strict=True)]
    both.sort(key=lambda pair: (pair[0].rung.height, pair[0].rung.bitrate))
    rungs, labels = zip(*both, strict=True)
    return step_of(replace(one.job, rungs=rungs), label=" ".join((verb, span, *labels)))


def _edition(
    tracks: tuple[str, ...], urgency: Urgency, terms: Terms, last: Edition | None
) -> tuple[Edition, list[Step]]:
    policy = terms.policy
    composed = digest({"recipe": version.RECIPE, "tracks": tracks, "policy": to_data(policy)})
    verified = digest({"recipe": version.RECIPE, "verified": composed})
    which = "" if urgency == "must" else f" with {urgency}"
    compose = ComposeJob(digest=composed, tracks=tracks, policy=policy)
    verify = VerifyJob(digest=verified, version=composed, tracks=tracks, policy=policy)
    steps = [
        step_of(compose, needs=tracks, label=f"compose manifests{which}", urgency=urgency),
        step_of(verify, needs=(composed, *tracks), label=f"verify every object{which}", urgency=urgency),
    ]
    warmth: dict[str, str] = {}
    for edge in sorted(terms.edges, key=lambda edge: edge.role != "shield"):
        warmth[edge.name] = digest({"recipe": warm.RECIPE, "version": composed, "edge": edge.identity})
        # A PoP fills from its shield: warmed before it, it would ask the origin too.
        before = (warmth[edge.shield],) if edge.shield else ()
        # What the edition before this one has warmed is proved again, but not asked for twice.
        already = (last.warmth[edge.name],) if last else ()
        job = WarmJob(
            digest=warmth[edge.name],
            version=composed,
            tracks=tracks,
            edge=edge,
            warmed=last.tracks if last else (),
            release=terms.at,
        )
        needs = (verified, composed, *tracks, *before, *already)
        steps.append(step_of(job, needs=needs, label=f"warm {edge.name}{which}", urgency=urgency))
    edition = Edition(urgency=urgency, version=composed, verification=verified, warmth=warmth, tracks=tracks)
    return edition, steps
