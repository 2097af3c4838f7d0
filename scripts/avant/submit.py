"""`avant submit episode.toml`: hand an episode to the farm, whose workers make it."""

from datetime import datetime
from typing import Any

from pipelines.plan import Plan
from scripts.avant import console
from scripts.avant.console import AsJson, clock_time, data, duration, size
from scripts.avant.run import Document, EdgeList, point_out
from workers import observability
from workers.ledger import Submitted
from workers.settings import Settings
from workers.submission import Order, open_desk, read_edges, read_order


def submit(document: Document, edges: EdgeList = None, as_json: AsJson = False) -> None:
    """Examine an episode and have the farm make it; what failed before gets another chance. Starts nothing here."""
    settings = Settings()
    observability.configure(settings)
    order = read_order(document, settings, read_edges(edges) if edges else None)
    point_out(order.release)
    with open_desk(settings) as desk:
        plan = desk.plan(order)
        submitted = desk.submit(order, plan)
    if as_json:
        console.print_json(told(order, plan, submitted))
        return
    data.print(
        f"{plan.episode}: {plan.title}, {duration(float(plan.seconds))}, preset {plan.preset}: "
        f"{len(plan.tracks)} tracks, about {size(sum(track.size for track in plan.tracks))}\n"
        f"{len(submitted.steps)} of {len(plan.steps)} steps to do, {_due(order)}; version digest {plan.version}",
        markup=False,
    )


def told(order: Order, plan: Plan, submitted: Submitted) -> dict[str, Any]:
    """What became of an order, for programs."""
    deadline: datetime | None = order.release.utc if order.release else None
    return {
        "episode": plan.episode,
        "title": plan.title,
        "preset": plan.preset,
        # Its public name needs the naming key, which whoever submits does not have to hold.
        "digest": plan.version,
        "tracks": [track.label for track in plan.tracks],
        "trace": submitted.trace,
        "steps": {"run": len(submitted.steps), "planned": len(plan.steps)},
        "deadline": deadline.isoformat() if deadline else None,
        "wall": order.release.wall if order.release else None,
    }


def _due(order: Order) -> str:
    if order.release is None:
        return "after all that has a deadline"
    return f"by {order.release.wall} ({clock_time(order.release.utc)})"
