"""
What the farm tells of itself: log events for people and machines, one report for each step that failed for good.

An event is a dotted name with keys (`step.done kind=encode wall_s=12.4`). Who it is about (episode, step, host,
trace) is bound once per step; one canonical line closes each step.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import structlog

from pipelines.errors import AvantError, ToolError
from pipelines.plan import Step
from workers.settings import Settings


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Set logging up for this process. To be called before a broker is opened."""
    stream = stream or sys.stderr
    pretty = stream.isatty() if settings.log_format == "auto" else settings.log_format == "pretty"
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *_renderers(pretty=pretty, colours=stream.isatty()),
        ],
        logger_factory=structlog.PrintLoggerFactory(stream),
    )
    # Libraries: only what somebody should act on.
    logging.basicConfig(stream=stream, level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    if settings.sentry_dsn:
        _report_to(settings.sentry_dsn.get_secret_value())


@contextmanager
def kept(settings: Settings, path: Path) -> Iterator[None]:
    """Log to the file at `path` while the context lasts, and to standard error again afterwards."""
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        configure(settings, stream)
        try:
            yield
        finally:
            configure(settings)


def report(error: Exception, step: Step, *, episode: str, host: str) -> None:
    """Report a step that failed for good. Does nothing unless a Sentry address is configured."""
    sentry = sys.modules.get("sentry_sdk")
    if sentry is None or not sentry.is_initialized():
        return
    with sentry.new_scope() as scope:
        scope.set_tags({"episode": episode, "step": step.id, "kind": step.job.kind, "host": host})
        if isinstance(error, ToolError):
            scope.set_context("tool", {"argv": list(error.argv), "status": error.status, "tail": error.tail})
        if isinstance(error, AvantError):
            scope.fingerprint = [type(error).__name__, step.job.kind]
        sentry.capture_exception(error)


def _renderers(*, pretty: bool, colours: bool) -> list[Any]:
    # Plain tracebacks: both renderers would by default show local variables, among them credentials.
    if pretty:
        return [structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=structlog.dev.plain_traceback)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def _report_to(dsn: str) -> None:
    import sentry_sdk  # noqa: PLC0415 - half a second that only those pay who report
    from sentry_sdk.integrations.logging import LoggingIntegration  # noqa: PLC0415 - likewise

    sentry_sdk.init(
        dsn=dsn,
        # We report what failed for good; integrations would report every attempt, and know nothing of steps.
        auto_enabling_integrations=False,
        disabled_integrations=[LoggingIntegration()],
        # Local variables of a traceback hold credentials.
        include_local_variables=False,
    )
