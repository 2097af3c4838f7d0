"""
Log lines: an event is a dotted name with keys (`step.done kind=encode wall_s=12.4`), pretty on a terminal, else JSON.

Who it is about (episode, step, host, trace) is bound once per step; one canonical line closes each step. Whatever is
logged, by us or by a library, a line is one line and valid JSON, and holds no secret.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor

from workers.observability import reports
from workers.observability.scrub import Scrubber, scrubber
from workers.settings import Settings

#: What the handler for libraries is called, so that the next one takes its place.
HANDLER = "avant"

log = structlog.get_logger()


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Set logging and reports up for this process, before a broker is opened. Raises `ConfigurationError`."""
    stream = stream or cast(TextIO, _Stderr())
    scrub = scrubber(settings)
    pretty = stream.isatty() if settings.log_format == "auto" else settings.log_format == "pretty"
    closing = _closing(scrub, pretty=pretty, colours=stream.isatty())
    structlog.configure(processors=[*_opening(), *closing], logger_factory=structlog.WriteLoggerFactory(stream))
    _hear_libraries(stream, closing)
    sys.excepthook = sys.__excepthook__ if pretty else _crashed
    reports.open_reports(settings, scrub)


class _Stderr:
    """Standard error as it is when something is written: whoever captures it puts another in its place."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def isatty(self) -> bool:
        return sys.stderr.isatty()


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


def _opening() -> list[Processor]:
    """Who it is about, how grave it is, and when."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _closing(scrub: Scrubber, *, pretty: bool, colours: bool) -> list[Processor]:
    """What makes a line of an event."""

    def cleaned(_logger: Any, _method: str, event: EventDict) -> EventDict:
        return scrub.value(event)  # type: ignore[no-any-return]  # a dict stays one

    # Plain tracebacks: both renderers would by default show local variables, among them credentials.
    plain = structlog.dev.plain_traceback
    renderer = structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=plain) if pretty else None
    return [structlog.processors.format_exc_info, cleaned, renderer or structlog.processors.JSONRenderer()]


def _hear_libraries(stream: TextIO, closing: list[Processor]) -> None:
    """Have libraries' warnings be events as well: in a file of JSON, a line that is none can't be read by anybody."""
    handler = logging.StreamHandler(stream)
    handler.set_name(HANDLER)
    handler.setLevel(logging.WARNING)  # only what somebody should act on
    before: list[Processor] = [*_opening(), structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder(), _said]
    after: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *closing]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=before, processors=after))
    root = logging.getLogger()
    for other in [each for each in root.handlers if each.get_name() == HANDLER]:
        root.removeHandler(other)
    root.addHandler(handler)
    logging.captureWarnings(capture=True)


def _said(_logger: Any, _method: str, event: EventDict) -> EventDict:
    return {**event, "event": "library.said", "message": event["event"]}


def _crashed(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Last words of a process that nobody caught."""
    if not issubclass(kind, Exception):
        sys.__excepthook__(kind, error, traceback)
        return
    log.critical("process.crashed", exc_info=(kind, error, traceback))
