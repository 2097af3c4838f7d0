"""What came of an episode: as a table for people, as one object for programs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines import layout
from pipelines.artifact import Artifact
from pipelines.instant import Instant
from pipelines.layout import Names
from pipelines.plan import Plan
from pipelines.release import Ref
from pipelines.warm import Edge
from scripts.avant.console import clock_time, data, duration, print_table, size
from workers.ledger import Submitted


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """An episode after a run."""

    plan: Plan
    submitted: Submitted
    ref: Ref
    release: Instant | None
    #: The plan's tracks that exist, by digest.
    artifacts: Mapping[str, Artifact]
    names: Names
    edges: tuple[Edge, ...]
    #: Wall seconds of each stage of the run.
    stages: Mapping[str, float]
    #: Seconds of work by kind of step; steps run side by side.
    steps: Mapping[str, float]


def urls(outcome: Outcome) -> dict[str, dict[str, str]]:
    """What viewers ask for, by edge."""
    where = layout.entry_points(outcome.plan.episode)
    return {
        edge.name: {
            "hls": f"{edge.url.rstrip('/')}/{where}{layout.MULTIVARIANT_PLAYLIST}",
            "dash": f"{edge.url.rstrip('/')}/{where}{layout.MPD}",
            "json": f"{edge.url.rstrip('/')}/{where}{layout.RELEASE}",
        }
        for edge in outcome.edges
    }


def summary(outcome: Outcome) -> dict[str, Any]:
    """The whole outcome as plain data."""
    plan = outcome.plan
    return {
        "episode": plan.episode,
        "title": plan.title,
        "version": outcome.names.version(plan.version).split("/")[1],
        "state": outcome.ref.state if outcome.ref.version == plan.version else "armed",
        "generation": outcome.ref.generation,
        "release": {"utc": outcome.release.utc.isoformat(), "wall": outcome.release.wall} if outcome.release else None,
        "released_at": outcome.ref.flipped_at.isoformat() if outcome.ref.flipped_at else None,
        "tracks": [_track(outcome, digest) for digest in (track.digest for track in plan.tracks)],
        "urls": urls(outcome),
        "steps": {"run": len(outcome.submitted.steps), "planned": len(plan.steps)},
        "ran": [step.label for step in outcome.submitted.steps],
        "seconds": {
            **{stage: round(taken, 3) for stage, taken in outcome.stages.items()},
            "by_kind": dict(outcome.steps),
        },
    }


def print_summary(outcome: Outcome) -> None:
    """The outcome for people."""
    rows = [_track(outcome, track.digest) for track in outcome.plan.tracks]
    print_table(
        ("track", "codecs", "segments>", "size>", "kb/s>"),
        (
            (
                row["label"],
                row["codecs"],
                str(row["segments"]),
                size(row["bytes"]),
                f"{row['bytes'] * 8 / float(outcome.plan.seconds) / 1000:.0f}",
            )
            for row in rows
        ),
        title=f"{outcome.plan.episode}: {outcome.plan.title}, {duration(float(outcome.plan.seconds))}",
    )
    data.print()
    data.print(_standing(outcome), markup=False)
    for edge, addresses in urls(outcome).items():
        data.print(f"  {edge}: {addresses['hls']}\n  {edge}: {addresses['dash']}", markup=False)


def _standing(outcome: Outcome) -> str:
    version = outcome.names.version(outcome.plan.version).split("/")[1]
    spent = duration(outcome.stages["total"])
    ran = f"{len(outcome.submitted.steps)} steps, {spent}"
    if outcome.ref.version == outcome.plan.version and outcome.ref.flipped_at:
        return f"released: version {version}, since {clock_time(outcome.ref.flipped_at)} ({ran})"
    when = f"{outcome.release.wall} ({clock_time(outcome.release.utc)})" if outcome.release else "now"
    return f"armed: version {version}, for {when} ({ran})"


def _track(outcome: Outcome, digest: str) -> dict[str, Any]:
    planned = next(track for track in outcome.plan.tracks if track.digest == digest)
    made = outcome.artifacts[digest]
    segments = made.facts.get("segments", made.facts.get("sprites", 0))
    return {
        "label": planned.label,
        "kind": planned.medium,
        "name": made.key.split("/")[1],
        "codecs": made.facts.get("codecs", ""),
        "segments": segments if isinstance(segments, int) else len(segments),
        "bytes": made.size,
    }
