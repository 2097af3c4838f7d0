"""`avant ledger`: the farm's memory, looked after: its schema, and what a restored backup has forgotten."""

from dataclasses import asdict

import typer

from scripts.avant import console
from scripts.avant.console import AsJson, say
from workers.farm import open_farm
from workers.ledger.upkeep import Upkeep, inspect_ledger, upgrade_ledger
from workers.recover import recover as recover_ledger
from workers.settings import Settings

ledger = typer.Typer(
    name="ledger", help="Look after the ledger: its schema, and its recovery from a backup.", no_args_is_help=True
)


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


@ledger.command()
def recover(as_json: AsJson = False) -> None:
    """After a restore from a backup, with all workers stopped: see that nothing that the backup forgot can win."""
    with open_farm(Settings()) as farm:
        farm.wait()
        found = recover_ledger(farm.ledger, farm.store, farm.names)
    if as_json:
        console.print_json(asdict(found))
        return
    say(f"Tokens go on above {found.epoch}; {len(found.raised)} refs were behind what viewers get, and are not now.")
    for episode in found.forgotten:
        say(f"{episode}: the ledger does not know the version that viewers get. Submit and release the episode again.")


def _tell(found: Upkeep, *, as_json: bool) -> None:
    if as_json:
        schemas = {"schema": found.schema, "known": found.known, "ok": found.current}
        console.print_json({"server": found.server, **schemas, "off": list(found.careless)})
        return
    verdict = "ok" if found.current else "run `avant ledger upgrade`"
    console.print_table(
        ("server", "schema", "known here", ""), [(found.server, found.schema or "none yet", found.known, verdict)]
    )
    for setting in found.careless:
        say(f"warning: {setting} is off: a power cut may forget what viewers were already shown. Switch it on.")
