"""`avant status`: what the farm is at, and how far one episode is: who does what, for how long, with how much slack."""

import random
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

import typer

from scripts.avant import console, fleet
from scripts.avant.console import AsJson, clock_time, counted, data, duration, print_table
from scripts.avant.progress import loads_of, speed
from workers.eta import share_done
from workers.farm import consulted
from workers.forecast import Forecast, forecast
from workers.ledger import Ledger, Overview, StepView
from workers.outlook import served
from workers.settings import Settings

#: Who can put right what failed, and what is to be done then.
MENDERS = {
    "deliverer": "Whoever sent the delivery can put it right; submit it again then.",
    "operator": "Whoever runs the farm can put it right; `avant retry` it then.",
    "us": "Whoever develops Avant can put it right; `avant retry` tries it once more.",
}


def status(
    episode: Annotated[str, typer.Argument(help="Show every step of this one.")] = "", as_json: AsJson = False
) -> None:
    """Show hosts, lanes and episodes, or how far one episode is. Reads the ledger and starts nothing."""
    with consulted(Settings()) as ledger:
        if episode:
            _one(found(ledger, episode), ledger, as_json=as_json)
        else:
            _all(ledger, as_json=as_json)


def found(ledger: Ledger, episode: str) -> Overview:
    """How far an episode is. Raises `ConfigurationError` if there is none."""
    overview = ledger.overview(episode)
    if overview is None:
        raise ledger.unknown(episode)
    return overview


def forecast_of(overview: Overview, ledger: Ledger) -> Forecast | None:
    """When it will be ready, if nothing else fails or is submitted; None: not without somebody."""
    if overview.stuck or (overview.cancelled_at and not overview.ready):
        return None
    # The same state of the farm gives the same answer: whoever asks twice sees what has changed.
    chance = random.Random(overview.plan.version)  # noqa: S311 - nothing here is secret
    return forecast(ledger.queue(overview.plan.episode), served(ledger), ledger.paces(), chance)


def described(overview: Overview, ledger: Ledger) -> dict[str, Any]:
    """All that is known of an episode, for programs."""
    ref, ahead = ledger.ref(overview.plan.episode), forecast_of(overview, ledger)
    return {
        "episode": overview.plan.episode,
        "title": overview.plan.title,
        "ready": overview.ready,
        "cancelled": overview.cancelled_at is not None,
        "state": ref.state,
        "generation": ref.generation,
        "deadline": overview.deadline.isoformat() if overview.deadline else None,
        "share": round(share_done(loads_of(overview)), 4),
        "ready_in_s": {"p50": round(ahead.p50, 1), "p95": round(ahead.p95, 1)} if ahead else None,
        "steps": [_step(view, overview) for view in overview.steps],
    }


def _all(ledger: Ledger, *, as_json: bool) -> None:
    hosts, lanes = ledger.hosts(), ledger.lanes()
    episodes = [fleet.episode_row(view, ledger) for view in ledger.episodes()]
    if as_json:
        console.print_json(
            {
                "hosts": [fleet.host_row(view) for view in hosts],
                "lanes": [fleet.lane_row(view) for view in lanes],
                "episodes": episodes,
            }
        )
        return
    fleet.print_hosts(hosts)
    fleet.print_lanes(lanes)
    fleet.print_episodes(episodes)


def _one(overview: Overview, ledger: Ledger, *, as_json: bool) -> None:
    if as_json:
        console.print_json(described(overview, ledger))
        return
    print_table(
        ("step", "state", "done>", "speed>", "attempt>", "host", "age>", "slack>", "because"),
        (_row(view, overview) for view in overview.steps),
        title=f"{overview.plan.episode}: {overview.plan.title}",
    )
    for view in overview.stuck:
        _print_fault(view)
    ref = ledger.ref(overview.plan.episode)
    offered = "nothing yet" if ref.state == "not-yet" else f"generation {ref.generation}"
    data.print(f"\n{_ahead(overview, ledger)}; viewers get {offered}", markup=False)


def _ahead(overview: Overview, ledger: Ledger) -> str:
    if overview.ready:
        return "ready"
    loads = loads_of(overview)
    share = f"{share_done(loads):.0%} done"
    if overview.cancelled_at:
        return f"cancelled, {share}"
    if overview.stuck:
        return f"{share}, {counted(len(overview.stuck), 'step')} failed, for which {len(overview.stopped)} wait"
    ahead = forecast_of(overview, ledger)
    if ahead is None:
        return f"{share}; what is left is in lanes that are paused or that no slot serves"
    likely, late = (clock_time(overview.now + timedelta(seconds=each)) for each in (ahead.p50, ahead.p95))
    return f"{share}, ready in {duration(ahead.p50)}, at {likely} (p50), or {duration(ahead.p95)}, at {late} (p95)"


def _step(view: StepView, overview: Overview) -> dict[str, Any]:
    age, slack, culprit = _age(view, overview), overview.slack(view), overview.stopped.get(view.step.id)
    return {
        "id": view.step.id,
        "label": view.step.label,
        "lane": view.step.lane,
        "state": view.state,
        "progress": view.progress,
        "attempts": view.attempts,
        "host": view.host,
        "age_s": None if age is None else round(age, 1),
        "slack_s": None if slack is None else round(slack, 1),
        "stopped_by": culprit.step.id if culprit else None,
        "fault": _fault(view),
    }


def _row(view: StepView, overview: Overview) -> tuple[str, ...]:
    age, slack = _age(view, overview), overview.slack(view)
    return (
        view.step.label,
        view.state,
        f"{view.progress:.0%}",
        speed(view, overview) if view.state == "running" else "",
        str(view.attempts or ""),
        view.host or "",
        "" if age is None else duration(age),
        "" if slack is None else fleet.early(slack),
        _because(view, overview),
    )


def _because(view: StepView, overview: Overview) -> str:
    if view.state == "done":
        return ""
    if culprit := overview.stopped.get(view.step.id):
        return f"waits for `{culprit.step.label}`, which failed"
    return view.fault.message if view.fault else ""


def _age(view: StepView, overview: Overview) -> float | None:
    """Seconds that a step has run, or has waited since its episode was submitted; None of what has ended."""
    since: Mapping[str, Any] = {
        "running": view.started_at,
        "ready": overview.submitted_at,
        "waiting": overview.submitted_at,
    }
    began = since.get(view.state)
    return (overview.now - began).total_seconds() if began else None


def _fault(view: StepView) -> dict[str, str] | None:
    if view.fault is None:
        return None
    return {
        "class": view.fault.kind,
        "message": view.fault.message,
        "hint": view.fault.hint,
        "who": view.fault.who,
    }


def _print_fault(view: StepView) -> None:
    fault = view.fault
    if fault is None:
        return
    told = f"\n`{view.step.label}` {view.state} on {view.host or 'its last host'}: {fault.message}"
    hint = f"\n  {fault.hint}" if fault.hint else ""
    data.print(f"{told}\n  {MENDERS[fault.who]}{hint}", markup=False)
