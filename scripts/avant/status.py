"""`avant status`: which episodes there are, and how far one of them is."""

from collections import Counter
from typing import Annotated, Any

import typer

from pipelines.errors import ConfigurationError
from scripts.avant import console
from scripts.avant.console import AsJson, clock_time, data, duration, print_table
from scripts.avant.progress import loads_of, speed
from workers import host
from workers.eta import seconds_left, share_done
from workers.lanes import mix
from workers.ledger import EpisodeView, Ledger, Overview, open_ledger
from workers.settings import Settings


def status(
    episode: Annotated[str, typer.Argument(help="Show every step of this one.")] = "", as_json: AsJson = False
) -> None:
    """List the episodes, or show how far one is. Reads the ledger and starts nothing."""
    ledger = open_ledger(Settings().ledger_address)
    if not episode:
        _list(ledger, as_json=as_json)
        return
    overview = ledger.overview(episode)
    if overview is None:
        raise ConfigurationError(f"There is no episode `{episode}`.", hint="`avant status` lists those there are.")
    if as_json:
        console.print_json(_data(overview, ledger))
    else:
        _print(overview, ledger)


def _list(ledger: Ledger, *, as_json: bool) -> None:
    found = ledger.episodes()
    if as_json:
        console.print_json({"episodes": [_row(view, ledger) for view in found]})
        return
    print_table(
        ("episode", "title", "made", "running>", "failed>", "viewers get", "due"),
        (
            (
                row["episode"],
                row["title"],
                f"{row['made']} of {row['steps']}",
                str(row["running"]),
                str(row["failed"]),
                row["state"],
                str(row["deadline"] or "when ready"),
            )
            for row in (_row(view, ledger) for view in found)
        ),
    )


def _row(view: EpisodeView, ledger: Ledger) -> dict[str, Any]:
    ref = ledger.ref(view.episode)
    overview = ledger.overview(view.episode)
    states = Counter(step.state for step in overview.steps) if overview else Counter()
    return {
        "episode": view.episode,
        "title": view.title,
        "steps": states.total(),
        "made": states["done"],
        "running": states["running"],
        "failed": states["failed"] + states["quarantined"],
        "state": ref.state,
        "generation": ref.generation,
        "deadline": clock_time(view.deadline) if view.deadline else None,
        "submitted_at": clock_time(view.submitted_at),
    }


def _data(overview: Overview, ledger: Ledger) -> dict[str, Any]:
    ref = ledger.ref(overview.plan.episode)
    return {
        "episode": overview.plan.episode,
        "title": overview.plan.title,
        "ready": overview.ready,
        "state": ref.state,
        "generation": ref.generation,
        "share": round(share_done(loads_of(overview)), 4),
        "steps": [
            {
                "id": view.step.id,
                "label": view.step.label,
                "lane": view.step.lane,
                "state": view.state,
                "progress": view.progress,
                "attempts": view.attempts,
                "host": view.host,
                "fault": {"message": view.fault.message, "hint": view.fault.hint} if view.fault else None,
            }
            for view in overview.steps
        ],
    }


def _print(overview: Overview, ledger: Ledger) -> None:
    print_table(
        ("step", "lane", "state", "done>", "speed>", "attempt>", "host", "fault"),
        (
            (
                view.step.label,
                view.step.lane,
                view.state,
                f"{view.progress:.0%}",
                speed(view, overview) if view.state == "running" else "",
                str(view.attempts or ""),
                view.host or "",
                view.fault.message if view.fault and view.state != "done" else "",
            )
            for view in overview.steps
        ),
        title=f"{overview.plan.episode}: {overview.plan.title}",
    )
    loads = loads_of(overview)
    left = seconds_left(loads, [slot.lanes for slot in mix(host.processors())])
    ref = ledger.ref(overview.plan.episode)
    ahead = "ready" if overview.ready else f"{share_done(loads):.0%} done, about {duration(left)} of work left here"
    data.print(f"\n{ahead}; viewers get: {ref.state}, generation {ref.generation}", markup=False)
