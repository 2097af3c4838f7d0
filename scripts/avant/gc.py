"""`avant gc`: have what nobody needs any more go."""

from typing import Annotated, Any

import typer

from pipelines.wire import to_data
from scripts.avant import console
from scripts.avant.console import AsJson, counted, print_table, say, size
from workers.farm import open_farm
from workers.garbage import KEEP, Count, Report, Terms, collect, look
from workers.settings import Settings

KINDS = ("version", "track", "chunk", "sound", "verification", "warmth")


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")] = False,
    keep: Annotated[
        int, typer.Option(min=1, max=1000, help="Versions of each episode that can be gone back to.")
    ] = KEEP,
    as_json: AsJson = False,
) -> None:
    """Doom what nobody needs, and delete what was doomed a day ago. Viewers, releases and plans lose nothing."""
    terms = Terms(keep=keep)
    with open_farm(Settings()) as farm:
        farm.wait()
        report = look(farm, terms) if dry_run else collect(farm, terms)
    if as_json:
        console.print_json({"dry_run": dry_run, "keep": keep, **to_data(report)})
        return
    _print(report)
    whole = counted(report.leftovers.number, "leftover object")
    if dry_run:
        say(f"Would go beside them: {whole}, {size(report.leftovers.bytes)}. Nothing was changed.")
    else:
        deleted = counted(report.deleted.number, "object")
        say(f"Deleted: {deleted}, {size(report.deleted.bytes)}; of those {whole}, {size(report.leftovers.bytes)}.")


def _print(report: Report) -> None:
    columns = (report.kept, report.doomed, report.waiting, report.collected)
    print_table(
        ("", "kept>", "size>", "doomed now>", "size>", "doomed>", "size>", "collected>", "size>"),
        ((kind, *(cell for counts in columns for cell in _cells(counts.get(kind)))) for kind in KINDS),
    )


def _cells(count: Count | None) -> tuple[Any, str]:
    return (str(count.number), size(count.bytes)) if count else ("", "")
