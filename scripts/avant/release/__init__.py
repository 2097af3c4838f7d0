"""`avant release`: what viewers get, and from when, in an operator's hand. One file per family of commands."""

import typer

from scripts.avant.release.armed import arm, go, hold
from scripts.avant.release.canary import canary
from scripts.avant.release.drop import drop
from scripts.avant.release.levers import cap, restore, rollback, uncap, withdraw
from scripts.avant.release.log import log
from scripts.avant.release.show import show

release = typer.Typer(
    name="release", help="On the night: hold a release or let it go; change what viewers get.", no_args_is_help=True
)
for command in (show, arm, hold, go, drop, rollback, withdraw, restore, cap, uncap, canary, log):
    release.command()(command)
