"""
The demo: a made-up episode, from delivery to released, through a real edge, in one command.

It uses what operators use, `avant run` in all but name, on a folder of its own.
"""

import signal
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.errors import AvantError
from scripts import edge as edges
from scripts.avant import console
from scripts.avant.console import print_error, say
from scripts.avant.run import produce
from scripts.avant.summary import print_summary, summary
from scripts.synthesise import synthesise
from workers.farm import open_farm
from workers.settings import Settings
from workers.submission import read_order

FOLDER = Path(__file__).parents[1] / "build" / "demo"


def demonstrate(
    serve: Annotated[bool, typer.Option("--serve", help="Keep store and edge up, with a small player page.")] = False,
    folder: Annotated[Path, typer.Option(help="Where everything goes.")] = FOLDER,
    seconds: Annotated[int, typer.Option(min=3, max=600, help="Length of the episode.")] = 25,
    as_json: console.AsJson = False,
) -> None:
    """Synthesise an episode, make it, warm a real edge, release it, and say where it plays."""
    began = time.monotonic()
    document = folder / f"delivery-{seconds}s" / "episode.toml"
    if not document.exists():
        say(f"synthesising {seconds} s of 1080p25 in three languages")
        document = synthesise(document.parent, seconds=seconds)
    synthesised = time.monotonic()
    settings = Settings(home=folder / "home")
    with ExitStack() as stack:
        farm = stack.enter_context(open_farm(settings))
        store = farm.settings.s3_endpoint or ""
        edge = stack.enter_context(
            edges.running(folder / "edge", store, farm.settings.s3_bucket, farm.edge_secret, player=True)
        )
        outcome = produce(read_order(document, settings, (edge,)), farm, slots=None, wait=True, quiet=as_json)
        told = _told(summary(outcome), synthesised - began, time.monotonic() - began)
        if as_json:
            console.print_json(told)
        else:
            print_summary(outcome)
            _print_seconds(told["seconds"])
        if serve:
            say(f"\nplayer: {edge.url}/#{outcome.plan.episode}   (Ctrl-C ends it)")
            signal.pause()
        elif not as_json:
            say("\n(scripts/demo --serve keeps these addresses up, with a player)")


def _told(outcome: dict[str, Any], synthesised: float, total: float) -> dict[str, Any]:
    seconds = outcome["seconds"]
    return {**outcome, "seconds": {**seconds, "synthesise": round(synthesised, 3), "total": round(total, 3)}}


def _print_seconds(seconds: dict[str, Any]) -> None:
    stages = ("synthesise", "examine", "work", "release", "total")
    console.data.print("\nseconds: " + ", ".join(f"{stage} {seconds[stage]:.1f}" for stage in stages), markup=False)
    kinds = ", ".join(f"{kind} {taken:.1f}" for kind, taken in seconds["by_kind"].items())
    console.data.print(f"of work, side by side: {kinds}", markup=False)


def main() -> int:
    """Run it; an error becomes a sentence, a hint and an exit code."""
    try:
        typer.run(demonstrate)
    except AvantError as error:
        print_error(error.message, error.hint)
        return error.exit_code
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
