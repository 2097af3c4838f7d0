"""`avant ledger`: the farm's memory, looked after: which schema it has, and the one that it should have."""

import typer

from scripts.avant import console
from scripts.avant.console import AsJson, say
from workers.ledger.upkeep import Upkeep, inspect_ledger, upgrade_ledger
from workers.settings import Settings

ledger = typer.Typer(name="ledger", help="Look after the ledger: its schema.", no_args_is_help=True)


@ledger.command()
def status(as_json: AsJson = False) -> None:
    """Say which schema the ledger has. Starts nothing and changes nothing."""
    _tell(inspect_ledger(Settings().ledger_address), as_json=as_json)


@ledger.command()
def upgrade(as_json: AsJson = False) -> None:
    """Bring the ledger's schema up to date, whole or not at all. Workers of the older version finish and end."""
    found = upgrade_ledger(Settings().ledger_address)
    if not as_json:
        say(f"The ledger had schema {found.schema}." if found.schema else "The ledger was empty.")
    _tell(inspect_ledger(Settings().ledger_address), as_json=as_json)


def _tell(found: Upkeep, *, as_json: bool) -> None:
    if as_json:
        console.print_json({"server": found.server, "schema": found.schema, "known": found.known, "ok": found.current})
        return
    console.print_table(
        ("server", "schema", "known here", ""),
        [
            (
                found.server,
                found.schema or "none yet",
                found.known,
                "ok" if found.current else "run `avant ledger upgrade`",
            )
        ],
    )
