"""
A notice, posted to an address of the operators' and signed so that they know it for ours.

Asked for an answer only: no redirect is followed, no body read, and all of it has ten seconds.
"""

import hashlib
import hmac
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPException
from ipaddress import ip_address
from threading import Timer
from typing import Self
from urllib.parse import urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from pipelines.errors import ConfigurationError

#: Seconds of silence, and for the answer as a whole.
SILENCE, WHOLE = 5.0, 10.0
#: Characters that the secret must have: HMAC-SHA256 is no stronger than its key.
SHORTEST = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where notices go. The address may hold a password or a token, so nothing but its host is ever shown."""

    host: str
    port: int
    tls: bool
    #: With the query, if it has one.
    path: str = field(repr=False)
    #: What stands in the Host header.
    authority: str
    secret: bytes = field(repr=False)

    @classmethod
    def at(cls, url: str, secret: str) -> Self:
        """The webhook at `url`. Raises `ConfigurationError` unless it is https, or http to this machine."""
        try:
            split = urlsplit(url)
            host, port = split.hostname or "", split.port
        except ValueError:
            host, port = "", None
        if not host or split.username or not url.isascii() or not url.isprintable() or " " in url:
            raise _unusable("is not an address that can be posted to", "It looks like https://host/path.")
        if split.scheme != "https" and not (split.scheme == "http" and _loopback(host)):
            raise _unusable("is not https", "Only an address of this machine may be plain http.")
        if len(secret) < SHORTEST:
            hint = f"Set AVANT_WEBHOOK_SECRET to {SHORTEST} or more random characters, and give them to who listens."
            raise _unusable("has no secret to sign notices with", hint)
        tls = split.scheme == "https"
        path = (split.path or "/") + (f"?{split.query}" if split.query else "")
        authority = split.netloc
        return cls(
            host=host,
            port=port or (443 if tls else 80),
            tls=tls,
            path=path,
            authority=authority,
            secret=secret.encode(),
        )

    def signed(self, body: bytes, at: datetime) -> Mapping[str, str]:
        """`Avant-Signature: t=SECONDS,v1=HEX`, the HMAC-SHA256 over `SECONDS.BODY`."""
        seconds = int(at.timestamp())
        mac = hmac.new(self.secret, f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
        return {"Avant-Signature": f"t={seconds},v1={mac}"}

    def post(self, body: bytes, at: datetime, headers: Mapping[str, str]) -> str:
        """Post JSON, signed at that instant. Empty once it is taken (any 2xx), else why it was not."""
        kind = {"Content-Type": "application/json", "User-Agent": "avant", "Connection": "close"}
        try:
            with closing(self._connection()) as connection:
                connection.connect()
                with _in_time(connection):
                    told = {"Host": self.authority, **kind, **headers, **self.signed(body, at)}
                    connection.request("POST", self.path, body=body, headers=told, preload_content=False)
                    status = connection.getresponse().status
        except (OSError, HTTPError, HTTPException) as error:
            return f"{self.host} does not answer: {type(error).__name__}"
        return "" if 200 <= status < 300 else f"{self.host} answers {status}"  # noqa: PLR2004 - successes

    def _connection(self) -> HTTPConnection:
        if self.tls:
            trusting = ssl.create_default_context()
            return HTTPSConnection(self.host, self.port, timeout=SILENCE, ssl_context=trusting)
        return HTTPConnection(self.host, self.port, timeout=SILENCE)


@contextmanager
def _in_time(connection: HTTPConnection) -> Iterator[None]:
    """What drips forever, never silent for long, is cut off."""
    connected = connection.sock

    def cut() -> None:
        with suppress(OSError):
            connected.shutdown(socket.SHUT_RDWR)

    timer = Timer(WHOLE, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:  # a name
        return False


def _unusable(what: str, hint: str) -> ConfigurationError:
    return ConfigurationError(f"AVANT_WEBHOOK_URL {what}.", hint=hint)
