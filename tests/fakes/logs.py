"""Logging as it was before a test set it up, and what real processes left in their logs."""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sentry_sdk
import structlog

from workers.observability.logs import HANDLER


@contextmanager
def as_before() -> Iterator[None]:
    """Undo afterwards what `observability.configure` does to a process."""
    hook = sys.excepthook
    try:
        yield
    finally:
        sys.excepthook = hook
        logging.captureWarnings(capture=False)
        root = logging.getLogger()
        for handler in [each for each in root.handlers if each.get_name() == HANDLER]:
            root.removeHandler(handler)
        structlog.reset_defaults()
        sentry_sdk.get_client().close(timeout=0)
        sentry_sdk.get_global_scope().set_client(None)


def events(home: Path) -> list[dict[str, Any]]:
    """Every line in the logs of a home, each of which must be JSON; but services of others write as they like."""
    logs = [path for path in sorted((home / "logs").glob("*.log")) if path.name not in ("store.log", "broker.log")]
    return [json.loads(line) for path in logs for line in path.read_text().splitlines()]
