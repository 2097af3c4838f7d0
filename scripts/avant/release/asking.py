"""What all levers are asked with: to be shown first, who and why, and a second yes."""

import os
import pwd
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from inspect import signature
from typing import Annotated, Any

import typer

from pipelines.errors import ReleaseError
from scripts.avant.console import AsJson, say
from workers.ledger import By
from workers.settings import Settings

DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what viewers would see change, and change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask again.")]
Why = Annotated[str, typer.Option(metavar="TEXT", help="The reason, for the audit trail.")]
Who = Annotated[str, typer.Option(metavar="NAME", help="Whose decision it is. Default: AVANT_OPERATOR, or your user.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How a lever is to be pulled."""

    action: str
    dry_run: bool
    yes: bool
    why: str
    who: str
    as_json: bool
    settings: Settings = field(default_factory=Settings)

    @property
    def by(self) -> By:
        """Whose decision it is."""
        return By(who=self.who or self.settings.operator or user(), action=self.action, why=self.why)

    def confirm(self, question: str) -> None:
        """Return once somebody has said yes. Raises `ReleaseError` if nobody is there, or says no."""
        if self.yes:
            return
        if not sys.stdin.isatty():
            raise ReleaseError(
                "Nobody is at a terminal to confirm it; nothing was changed.",
                hint="Look with --dry-run, then say --yes.",
            )
        say(f"{question} [y/N]")  # by hand: typer's own writes to stdout too, which is for data
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise ReleaseError("Nothing was changed.")


def asks(command: Callable[..., None]) -> Callable[..., None]:
    """`command`, its `asked` made from the options that all levers have; its name is what is done."""
    own, shared = signature(command), signature(_options)

    @wraps(command)
    def asking(**given: Any) -> None:
        options = {name: given.pop(name) for name in shared.parameters}
        command(**given, asked=Asked(action=command.__name__, **options))

    kept = [parameter for name, parameter in own.parameters.items() if name != "asked"]
    every = [*kept, *shared.parameters.values()]
    # Typer reads both.
    asking.__dict__["__signature__"] = own.replace(parameters=every)
    asking.__annotations__ = {parameter.name: parameter.annotation for parameter in every}
    return asking


def _options(
    *, dry_run: DryRun = False, yes: Yes = False, why: Why = "", who: Who = "", as_json: AsJson = False
) -> None:
    """Only its signature counts."""


def user() -> str:
    """Whom the operating system takes whoever asks for."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # in a container
        return f"uid {os.getuid()}"
