"""
`avant`: the operators' command line. One file per command; this one only puts them together and answers for errors.
"""

import sys

import typer

from scripts.avant.answer import answered
from scripts.avant.clock import clock
from scripts.avant.doctor import doctor
from scripts.avant.ledger import ledger
from scripts.avant.plan import plan
from scripts.avant.presets import presets
from scripts.avant.run import run
from scripts.avant.status import status
from scripts.avant.submit import submit
from scripts.avant.versions import versions
from scripts.avant.warm import warm

app = typer.Typer(
    name="avant",
    help="Has the episode packaged, published, warm and visible at the second it was promised.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (run, plan, submit, clock, status, versions, presets, doctor):
    app.command()(command)
app.add_typer(warm)
app.add_typer(ledger)


def main() -> None:
    """Run a command; an error becomes a sentence, a hint and an exit code."""
    sys.exit(answered(app))


if __name__ == "__main__":
    main()
