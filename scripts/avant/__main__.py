"""
`avant`: the operators' command line. One file per command; this one only puts them together and answers for errors.
"""

import sys

import typer

from scripts.avant.answer import answered
from scripts.avant.bump import bump
from scripts.avant.cancel import cancel
from scripts.avant.clock import clock
from scripts.avant.doctor import doctor
from scripts.avant.gc import gc
from scripts.avant.ledger import ledger
from scripts.avant.levers import drain, pause, resume, undrain
from scripts.avant.logs import logs
from scripts.avant.metrics import metrics
from scripts.avant.plan import plan
from scripts.avant.prerelease import prerelease
from scripts.avant.presets import presets
from scripts.avant.release import release
from scripts.avant.retry import retry
from scripts.avant.run import run
from scripts.avant.status import status
from scripts.avant.submit import submit
from scripts.avant.versions import versions
from scripts.avant.warm import warm
from scripts.avant.watch import watch
from scripts.avant.worker import worker

app = typer.Typer(
    name="avant",
    help="Has the episode packaged, published, warm and visible at the second it was promised.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
#: In the order in which help lists them: an episode's way, an operator's levers, the machinery.
COMMANDS = (
    *(run, plan, submit, clock, prerelease, status, watch, versions),
    *(retry, cancel, bump, logs, drain, undrain, pause, resume),
    *(worker, metrics, gc, presets, doctor),
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(release)
app.add_typer(warm)
app.add_typer(ledger)


def main() -> None:
    """Run a command; an error becomes a sentence, a hint and an exit code."""
    sys.exit(answered(app))


if __name__ == "__main__":
    main()
