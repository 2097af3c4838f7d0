"""
`avant`: the operators' command line. One file per command; this one only puts them together and answers for errors.
"""

import errno
import sys

import typer
from pydantic import ValidationError

from pipelines.errors import AvantError, full_disk, refused
from presets.document import DocumentError
from scripts.avant.console import print_error
from scripts.avant.doctor import doctor
from scripts.avant.ledger import ledger
from scripts.avant.plan import plan
from scripts.avant.presets import presets
from scripts.avant.run import run
from scripts.avant.status import status
from scripts.avant.versions import versions
from workers.settings import Settings, mistaken

app = typer.Typer(
    name="avant",
    help="Has the episode packaged, published, warm and visible at the second it was promised.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (run, plan, status, versions, presets, doctor):
    app.command()(command)
app.add_typer(ledger)


def main() -> None:
    """Run a command; an error becomes a sentence, a hint and an exit code."""
    try:
        app()
    except DocumentError as error:
        sys.exit(_answer(refused(error)))
    except AvantError as error:
        sys.exit(_answer(error))
    except ValidationError as error:
        if error.title != Settings.__name__:
            raise
        sys.exit(_answer(mistaken(error)))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        sys.exit(_answer(full_disk()))


def _answer(error: AvantError) -> int:
    print_error(error.message, error.hint)
    return error.exit_code


if __name__ == "__main__":
    main()
