"""
What somebody must see: one report for each step that failed for good or is under suspicion, never for an attempt.

Sent by a thread of its own, so that a Sentry that is down or slow delays no step; what it has not taken when a process
ends is waited for a moment and then given up. Whoever needs every failure asks the ledger.
"""

import atexit
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from pipelines.errors import AvantError, ConfigurationError, ToolError
from workers.observability.scrub import Scrubber
from workers.settings import Settings

#: Seconds that the end of a process may be put off by: with `slot.DRAIN`, less than a supervisor's patience.
PATIENCE = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Culprit:
    """Whose doing it was."""

    episode: str
    step: str
    kind: str
    host: str
    #: Of the submission that asked for the step.
    trace: str
    #: For people: `encode 0:12–0:24 234p 360p`.
    label: str
    #: The slot that held it.
    worker: str
    attempt: int


def open_reports(settings: Settings, scrub: Scrubber) -> None:
    """Report to where the settings say, if they say it. Raises `ConfigurationError` when that is no address."""
    if _sentry() or not reported_to(settings):
        return
    import sentry_sdk  # noqa: PLC0415 - half a second that only those pay who report

    sentry_sdk.init(
        dsn=settings.sentry_dsn.get_secret_value() if settings.sentry_dsn else None,
        release=f"avant@{version('avant')}",  # else it would run git to find out
        # We report what failed for good; integrations would report every attempt, and record the addresses of
        # requests, which may be signed.
        default_integrations=False,
        auto_enabling_integrations=False,
        max_breadcrumbs=0,
        # Local variables of a traceback hold credentials.
        include_local_variables=False,
        include_source_context=False,
        # Failures are all there is to tell: no sessions, no reports about reports.
        auto_session_tracking=False,
        send_client_reports=False,
        spotlight=False,
        before_send=lambda event, _hint: scrub.value(event),
    )
    atexit.register(sentry_sdk.flush, timeout=PATIENCE)


def reported_to(settings: Settings) -> str:
    """The host that reports go to; empty if they go nowhere. Raises `ConfigurationError` if that is no address."""
    if settings.sentry_dsn is None:
        return ""
    from sentry_sdk.utils import BadDsn, Dsn  # noqa: PLC0415 - half a second that only those pay who report

    try:
        return str(Dsn(settings.sentry_dsn.get_secret_value()).netloc)
    except BadDsn as error:
        raise ConfigurationError(
            "AVANT_SENTRY_DSN is not an address that can be reported to.",
            hint="It looks like https://key@host/number; unset it to report nothing.",
        ) from error


def report(error: Exception, culprit: Culprit) -> None:
    """Report a step that failed for good. Does nothing unless a Sentry address is configured."""
    tool = (
        {"argv": list(error.argv), "status": error.status, "tail": error.tail} if isinstance(error, ToolError) else None
    )
    alike = [type(error).__name__, culprit.kind] if isinstance(error, AvantError) else None
    hint = error.hint if isinstance(error, AvantError) else ""
    with _scope(culprit, {"tool": tool, "advice": {"hint": hint} if hint else None}, alike) as sentry:
        if sentry:
            sentry.capture_exception(error)


def alarm(sentence: str, culprit: Culprit, *, hint: str) -> None:
    """Report what no exception tells of. Does nothing unless a Sentry address is configured."""
    with _scope(culprit, {"advice": {"hint": hint}}, [sentence, culprit.kind]) as sentry:
        if sentry:
            sentry.capture_message(sentence, level="error")


@contextmanager
def _scope(culprit: Culprit, contexts: Mapping[str, Any], alike: list[str] | None) -> Iterator[Any]:
    """The SDK, for one event about `culprit`; None where nothing is to be reported."""
    sentry = _sentry()
    if sentry is None:
        yield None
        return
    with sentry.new_scope() as scope:
        told = ("episode", "step", "kind", "host", "trace")
        scope.set_tags({name: getattr(culprit, name) for name in told})
        scope.set_context("step", {"label": culprit.label, "worker": culprit.worker, "attempt": culprit.attempt})
        # By Sentry's own names too, so that it shows together what one submission caused.
        if culprit.trace:
            scope.set_context("trace", {"trace_id": culprit.trace, "span_id": culprit.trace[:16]})
        for name, context in contexts.items():
            if context:
                scope.set_context(name, context)
        if alike:
            scope.fingerprint = alike
        yield sentry


def _sentry() -> Any:
    """The SDK if it was set up in this process."""
    sentry = sys.modules.get("sentry_sdk")
    return sentry if sentry and sentry.is_initialized() else None
