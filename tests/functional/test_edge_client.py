"""An edge asked over real connections: where it is pinned, who may vouch for it, what is undone of its bodies."""

import gzip
import hashlib
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipelines.errors import ConfigurationError, EdgeError
from pipelines.tools import edge
from pipelines.tools.edge import EdgeClient

PLAYLIST = b"#EXTM3U\n" * 1000


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    heard: list[tuple[str, str]]
    dripping: threading.Event

    def do_GET(self) -> None:
        self.heard.append((self.path, self.headers["Host"]))
        if self.path.startswith("/drip"):
            self.drip()
            return
        body = gzip.compress(bytes(70 << 20), 1) if self.path == "/bomb" else gzip.compress(PLAYLIST)
        body = body[:-9] if self.path == "/torn" else body
        short = 5 if self.path == "/short" else 0
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body) + short))
        self.end_headers()
        self.wfile.write(body)
        # Closed without a word, as servers do with connections that were idle.
        self.close_connection = bool(short) or self.path == "/last"

    def drip(self) -> None:
        """A byte at a time, without end: of a header, or of a body."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX: " if self.path == "/drip-head" else b"HTTP/1.1 200 OK\r\n\r\n")
        self.dripping.set()
        with suppress(ConnectionError):
            while not threading.Event().wait(0.05):
                self.wfile.write(b"x")
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def serving(handler: type[BaseHTTPRequestHandler], tls: ssl.SSLContext | None = None) -> Iterator[HTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.block_on_close = False
    server.handle_error = lambda *_: None  # type: ignore[method-assign] - a refused handshake is what is tested
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def handler() -> type[Handler]:
    return type("Fresh", (Handler,), {"heard": [], "dripping": threading.Event()})


@pytest.fixture
def plain(handler: type[Handler]) -> Iterator[HTTPServer]:
    yield from serving(handler)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of media.example, signed by itself."""
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    words = ["-subj", "/CN=media.example", "-addext", "subjectAltName=DNS:media.example", "-days", "2"]
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    subprocess.run([*new, *words, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return cert, key


@pytest.fixture
def secure(handler: type[Handler], certificate: tuple[Path, Path]) -> Iterator[HTTPServer]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*certificate)
    yield from serving(handler, tls)


def test_a_pinned_edge_is_asked_by_its_own_name(
    secure: HTTPServer, handler: type[Handler], certificate: tuple[Path, Path]
) -> None:
    """The address decides who is asked; Host, SNI and certificate are those of the name that viewers use."""
    address = f"127.0.0.1:{secure.server_port}"
    with EdgeClient("paris", "https://media.example", address=address, ca=certificate[0]) as client:
        answer = client.fetch("t/a/media.m3u8", hashed=True)
    assert (answer.status, answer.size) == (200, len(PLAYLIST))
    assert answer.sha256 == hashlib.sha256(PLAYLIST).hexdigest()
    assert handler.heard == [("/t/a/media.m3u8", "media.example")]


def test_another_name_behind_the_address_is_refused(secure: HTTPServer, certificate: tuple[Path, Path]) -> None:
    """Whoever answers there must have a certificate for the name, from somebody we trust."""
    address = f"127.0.0.1:{secure.server_port}"
    wrong = EdgeClient("paris", "https://other.example", address=address, ca=certificate[0])
    unknown = EdgeClient("paris", "https://media.example", address=address)
    for each in (wrong, unknown):
        with each as client, pytest.raises(EdgeError, match="certificate is not valid"):
            client.fetch("x")


def test_authorities_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """Before anything is asked."""
    (tmp_path / "ca.pem").write_text("no certificate")
    for name in ("ca.pem", "none.pem"):
        with pytest.raises(ConfigurationError, match=name):
            EdgeClient("paris", "https://media.example", ca=tmp_path / name)


def test_a_connection_that_was_closed_unseen_is_opened_again(plain: HTTPServer, handler: type[Handler]) -> None:
    """An idle connection may be gone; that is no fault of the edge, and nothing is asked twice."""
    with EdgeClient("paris", f"http://127.0.0.1:{plain.server_port}") as client:
        assert [client.fetch(key).status for key in ("last", "last", "x")] == [200] * 3
    assert [path for path, _ in handler.heard] == ["/last", "/last", "/x"]


def test_bodies_are_undone_within_limits(plain: HTTPServer) -> None:
    """A bomb and a torn body have no size; a body that breaks off is no answer."""
    with EdgeClient("paris", f"http://127.0.0.1:{plain.server_port}") as client:
        assert client.fetch("bomb").size == -1
        assert client.fetch("torn").size == -1
        with pytest.raises(EdgeError, match="its answer broke off for short"):
            client.fetch("short")


@pytest.mark.parametrize("key", ["drip-head", "drip-body"])
def test_an_answer_that_never_ends_is_ended(plain: HTTPServer, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """One that drips is never silent; it must not hold a connection all night."""
    monkeypatch.setattr(edge, "WHOLE", 1.0)
    begun = time.monotonic()
    client = EdgeClient("paris", f"http://127.0.0.1:{plain.server_port}")
    with client, pytest.raises(EdgeError, match="does not answer: TimeoutError for drip"):
        client.fetch(key)
    assert 1.0 < time.monotonic() - begun < 10.0


def test_whoever_waits_is_sent_home(plain: HTTPServer, handler: type[Handler]) -> None:
    """When the work no longer counts, a thread that reads comes back at once."""
    with ThreadPoolExecutor(1) as reading:
        with EdgeClient("paris", f"http://127.0.0.1:{plain.server_port}") as client:
            answer = reading.submit(client.fetch, "drip-head")
            assert handler.dripping.wait(10.0)
        with pytest.raises(EdgeError):
            answer.result(10.0)


def test_no_message_shows_a_token() -> None:
    """What stands below the key is a secret."""
    with EdgeClient("paris", "http://127.0.0.1:9") as client, pytest.raises(EdgeError) as refused:
        client.fetch("t/a/1.m4s", below="k/secret/")
    assert "secret" not in str(refused.value) + refused.value.hint
