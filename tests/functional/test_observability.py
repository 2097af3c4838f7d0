"""What the farm tells of itself, to people, to machines, and to those who mend it."""

import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
import sentry_sdk
import structlog
from pydantic import SecretStr

from pipelines.errors import ToolError
from tests.fakes.farm import step
from workers.observability import configure, report
from workers.settings import Settings


@dataclass(frozen=True)
class Inbox:
    """A service that takes reports."""

    address: str
    envelopes: list[bytes] = field(default_factory=list)


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            box.envelopes.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        box = Inbox(address=f"http://key@127.0.0.1:{server.server_address[1]}/1")
        Thread(target=server.serve_forever, daemon=True).start()
        yield box
        server.shutdown()


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    sentry_sdk.get_client().close()
    sentry_sdk.get_global_scope().set_client(None)
    structlog.reset_defaults()


def failed(secret: str) -> ToolError:
    """An error that was raised where a credential was at hand."""

    def fail() -> None:
        raise ToolError("ffmpeg failed.", argv=["ffmpeg", "-i", "<source>"], status=1, tail="Invalid data")

    with pytest.raises(ToolError) as raised:
        fail()
    return raised.value


def test_a_failed_step_is_reported_with_what_mends_it(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once: who, where, the command and its last words; no local variables, among which are credentials."""
    monkeypatch.setenv("SENTRY_SPOTLIGHT", "")
    configure(Settings(sentry_dsn=SecretStr(inbox.address)), io.StringIO())
    report(failed("hush-hush"), step("s"), episode="e", host="h")
    sentry_sdk.flush()
    lines = [line for each in inbox.envelopes for line in gzip.decompress(each).splitlines()]
    (event,) = [json.loads(line) for line in lines if b'"exception"' in line]
    assert event["tags"] == {"episode": "e", "step": "compose-s", "kind": "compose", "host": "h"}
    assert event["contexts"]["tool"] == {"argv": ["ffmpeg", "-i", "<source>"], "status": 1, "tail": "Invalid data"}
    assert "hush-hush" not in json.dumps(event)


def test_nothing_is_reported_unless_somewhere_is_named(inbox: Inbox) -> None:
    configure(Settings(), io.StringIO())
    report(failed(""), step("s"), episode="e", host="h")
    assert inbox.envelopes == []


@pytest.mark.parametrize("style", ["pretty", "json"])
def test_a_traceback_shows_no_local_variables(style: str) -> None:
    """Logs outlive steps."""
    stream = io.StringIO()
    configure(Settings.model_validate({"log_format": style}), stream)
    structlog.get_logger().error("step.fault", exc_info=failed("hush-hush"))
    assert "ffmpeg failed." in stream.getvalue()
    assert "hush-hush" not in stream.getvalue()


def test_an_event_is_a_line_of_json_with_who_it_is_about() -> None:
    """Dotted name, keys, identity; nothing that a machine has to guess."""
    stream = io.StringIO()
    configure(Settings(), stream)
    with structlog.contextvars.bound_contextvars(episode="e", step="s"):
        structlog.get_logger().info("step.done", kind="encode", wall_s=1.5)
    event = json.loads(stream.getvalue())
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "step.done", "level": "info", "episode": "e", "step": "s", "kind": "encode", "wall_s": 1.5,
    }  # fmt: skip
