"""Hosts, lanes and episodes of a farm, as rows for people and for programs."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from scripts.avant.console import clock_time, data, duration, print_table, size
from workers.ledger import EpisodeView, HostView, LaneView, Ledger


def host_row(view: HostView) -> dict[str, Any]:
    """A host, for programs."""
    return asdict(view)


def lane_row(view: LaneView) -> dict[str, Any]:
    """A lane, for programs."""
    return asdict(view)


def episode_row(view: EpisodeView, ledger: Ledger) -> dict[str, Any]:
    """An episode, for programs; `slack_s` is that of its step which is latest."""
    ref, overview = ledger.ref(view.episode), ledger.overview(view.episode)
    steps = overview.steps if overview else ()
    states = Counter(step.state for step in steps)
    slacks = [slack for step in steps if overview and (slack := overview.slack(step)) is not None]
    return {
        "episode": view.episode,
        "title": view.title,
        "steps": states.total(),
        "made": states["done"],
        "running": states["running"],
        "failed": states["failed"] + states["quarantined"],
        "cancelled": view.cancelled_at is not None,
        "slack_s": round(min(slacks), 1) if slacks and not view.cancelled_at else None,
        "state": ref.state,
        "generation": ref.generation,
        "deadline": clock_time(view.deadline) if view.deadline else None,
        "submitted_at": clock_time(view.submitted_at),
    }


def print_hosts(views: Iterable[HostView]) -> None:
    """Every host: what it has, and how much of it is in use."""
    print_table(
        ("host", "slots", "running>", "reserved>", "of>", ""),
        (
            (
                view.host,
                ", ".join(f"{number} {name}" for name, number in view.slots.items()) or "stopped",
                str(view.running),
                size(view.reserved),
                size(view.memory),
                "drained" if view.drained else "",
            )
            for view in views
        ),
    )
    data.print()


def print_lanes(views: Iterable[LaneView]) -> None:
    """Every lane, and what is in it."""
    print_table(
        ("lane", "ready>", "running>", "failed>", ""),
        (
            (view.lane, str(view.ready), str(view.running), str(view.failed), "paused" if view.paused else "")
            for view in views
        ),
    )
    data.print()


def print_episodes(rows: Iterable[Mapping[str, Any]]) -> None:
    """Every episode, the last submitted first."""
    print_table(
        ("episode", "title", "made", "running>", "failed>", "slack>", "viewers get", "due"),
        (
            (
                row["episode"],
                row["title"],
                f"{row['made']} of {row['steps']}",
                str(row["running"]),
                str(row["failed"]),
                "" if row["slack_s"] is None else early(row["slack_s"]),
                row["state"],
                "cancelled" if row["cancelled"] else str(row["deadline"] or "when ready"),
            )
            for row in rows
        ),
    )


def early(seconds: float) -> str:
    """`1:02:03` that are left; `-0:42` that it is late by."""
    return duration(seconds) if seconds >= 0 else f"-{duration(-seconds)}"
