"""A line is one line, valid, and holds who it is about."""

import io
import json
import logging
import sys
import warnings
from collections.abc import Iterator
from contextvars import copy_context
from threading import Thread
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.logs import as_before
from workers.observability import configure, kept
from workers.settings import Settings


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    with as_before():
        yield


def configured(style: str = "json", **settings: Any) -> io.StringIO:
    stream = io.StringIO()
    configure(Settings.model_validate({"log_format": style, **settings}), stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """Every line, each of which must be strict JSON."""

    def refuse(word: str) -> None:
        raise ValueError(word)

    return [json.loads(line, parse_constant=refuse) for line in stream.getvalue().splitlines()]


def test_an_event_is_a_line_of_json_with_who_it_is_about() -> None:
    """Dotted name, keys, identity; nothing that a machine has to guess."""
    stream = configured()
    with structlog.contextvars.bound_contextvars(episode="e", step="s", trace="t"):
        structlog.get_logger().info("step.done", kind="encode", wall_s=1.5)
    (event,) = lines(stream)
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "step.done",
        "level": "info",
        "episode": "e",
        "step": "s",
        "trace": "t",
        "kind": "encode",
        "wall_s": 1.5,
    }


def raised(message: str) -> RuntimeError:
    """An error with a traceback, and its message among the local variables."""
    with pytest.raises(RuntimeError) as caught:
        raise RuntimeError(message)
    return caught.value


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary() | st.dates(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(ANYTHING)
def test_whatever_is_logged_a_line_is_json(value: Any) -> None:
    """Line breaks, bytes that are no UTF-8, numbers that are none, objects of any kind."""
    stream = configured()
    structlog.get_logger().info("step.fault", message=value)
    (event,) = lines(stream)
    assert event["event"] == "step.fault"


def test_an_odd_name_of_a_file_stays_readable() -> None:
    """Python keeps bytes that are no UTF-8 as lone surrogates, which other readers of JSON refuse."""
    stream = configured()
    structlog.get_logger().info("step.fault", message="caf\udce9.mov\x1b[2J\nsecond")
    assert lines(stream)[0]["message"] == "caf\\xdce9.mov\\x1b[2J\nsecond"


def test_libraries_speak_json_too() -> None:
    """Their warnings and Python's; what they say in passing is not kept."""
    stream = configured()
    logging.getLogger("dramatiq.worker").warning("lost %s\nagain", "it")
    logging.getLogger("dramatiq.worker").info("nothing")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    first, second = lines(stream)
    assert (first["event"], first["logger"], first["message"]) == ("library.said", "dramatiq.worker", "lost it\nagain")
    assert (second["event"], second["logger"]) == ("library.said", "py.warnings")


def test_the_last_words_of_a_process_are_a_line() -> None:
    stream = configured()
    error = raised("nobody caught this")
    sys.excepthook(RuntimeError, error, error.__traceback__)
    (event,) = lines(stream)
    assert (event["event"], event["level"]) == ("process.crashed", "critical")
    assert event["exception"].endswith("RuntimeError: nobody caught this")


@pytest.mark.parametrize("style", ["pretty", "json"])
def test_a_line_holds_no_secret(style: str) -> None:
    """Neither in a message, nor in a traceback, nor among local variables, which none shows."""
    stream = configured(style, broker_url="redis://:open-sesame@h/0")
    error = raised("redis://:open-sesame@h/0")
    structlog.get_logger().error("step.fault", message="open-sesame", exc_info=error)
    assert "RuntimeError: redis://***@h/0" in stream.getvalue()
    assert "open-sesame" not in stream.getvalue()


def test_a_file_is_logged_to_as_long_as_wished(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Afterwards, what is logged goes to standard error again, whichever that is then."""
    settings = Settings(log_format="json")
    with kept(settings, tmp_path / "logs" / "avant.log"):
        structlog.get_logger().info("step.started")
        logging.getLogger("x").warning("also")
    structlog.get_logger().info("step.done")
    logging.getLogger("x").warning("outside")
    told = (tmp_path / "logs" / "avant.log").read_text()
    assert [json.loads(line)["event"] for line in told.splitlines()] == ["step.started", "library.said"]
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["step.done", "library.said"]


def test_a_thread_that_is_given_our_context_says_who_it_is_about() -> None:
    """As the keeper of a lease is."""
    stream = configured()
    with structlog.contextvars.bound_contextvars(trace="t"):
        log = structlog.get_logger()
        thread = Thread(target=copy_context().run, args=(log.info, "lease.unrenewed"))
    thread.start()
    thread.join()
    assert lines(stream)[0]["trace"] == "t"
