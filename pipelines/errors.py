"""
Everything that can go wrong, by who can put it right.

    AvantError
    ├── DeliveryError      whoever sent the delivery: send it again, or change episode.toml
    ├── ConfigurationError whoever runs the farm: a preset, a setting, an unsuitable store
    ├── HostError          whoever runs the host: disk, memory, a tool that is missing
    ├── ToolError          nobody yet: a tool failed; it is tried again, on another host if there is one
    ├── StoreError         time: the store is down or refuses; tried again while there is slack
    ├── EdgeError          time, or whoever runs the edge
    ├── ReleaseError       the operator on duty: the gate says no
    └── Interrupted        nobody: the work was handed back, and will be done

A message says what happened, to what; `hint` says what to do. Exit codes are those of sysexits.h.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

from presets.document import DocumentError


class AvantError(Exception):
    """
    The root.

    `retryable`: the same step may succeed later without anyone doing anything. `who` can put it right: who sent the
    delivery, who runs the farm or its hosts, or we, who wrote this.
    """

    retryable: ClassVar[bool] = False
    exit_code: ClassVar[int] = 70
    who: ClassVar[Literal["deliverer", "operator", "us"]] = "us"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class DeliveryError(AvantError):
    """The delivery, or something it names, is not usable."""

    exit_code = 65
    who = "deliverer"


class ConfigurationError(AvantError):
    """A preset, a setting or a service is not what we can work with."""

    exit_code = 78
    who = "operator"


class HostError(AvantError):
    """The host lacks something: room on disk, memory, a program."""

    retryable = True
    exit_code = 73
    who = "operator"


class ToolError(AvantError):
    """A tool failed, or succeeded with an output that does not hold what it should."""

    retryable = True
    exit_code = 70

    def __init__(
        self, message: str, *, hint: str = "", argv: Sequence[str] = (), status: int | None = None, tail: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        #: What was run, if a run failed.
        self.argv = tuple(argv)
        #: Its exit status, negative for a signal; None if we stopped it.
        self.status = status
        #: The last lines of its standard error.
        self.tail = tail


class StoreError(AvantError):
    """The object store is down, or refuses."""

    retryable = True
    exit_code = 69
    who = "operator"


class EdgeError(AvantError):
    """An edge does not answer, or is not warm after warming."""

    retryable = True
    exit_code = 69
    who = "operator"


class ReleaseError(AvantError):
    """The gate says no, or a lever can't be pulled in this state."""

    exit_code = 75
    who = "operator"


class Interrupted(AvantError):  # noqa: N818 - not a fault of anything
    """The lease was lost or the worker is stopping: whatever was under way no longer counts."""

    retryable = True
    exit_code = 75
    who = "operator"


def refused(error: DocumentError) -> ConfigurationError:
    """A preset or a list of edges that can't be read."""
    return ConfigurationError(error.sentence, hint=error.hint)


def undeliverable(error: DocumentError) -> DeliveryError:
    """An episode.toml that can't be read."""
    return DeliveryError(error.sentence, hint=error.hint)


def full_disk() -> HostError:
    """No room left where the work is done."""
    return HostError("The disk is full.", hint="Make room where the scratch folder is, or move it (`avant doctor`).")
