"""One place that answers for errors: a sentence, a hint and an exit code, whichever command was asked."""

import errno
from collections.abc import Callable

from pydantic import ValidationError

from pipelines.errors import AvantError, full_disk, refused
from presets.document import DocumentError
from scripts.avant.console import print_error
from workers.settings import Settings, mistaken


def answered(command: Callable[[], object]) -> int:
    """Run a command; its exit code, unless it ends the process by itself."""
    try:
        command()
    except DocumentError as error:
        return _answer(refused(error))
    except AvantError as error:
        return _answer(error)
    except ValidationError as error:
        if error.title != Settings.__name__:
            raise
        return _answer(mistaken(error))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return _answer(full_disk())
    return 0


def _answer(error: AvantError) -> int:
    print_error(error.message, error.hint)
    return error.exit_code
