"""
What a farm shares, all in one network namespace: a store, a broker and a ledger, for hosts in namespaces of their own.

    python -m tests.fakes.hub FOLDER ADDRESS     says in FOLDER/hub.json where they are; until SIGTERM

The servers listen on the namespace's loopback and on sockets; ports on ADDRESS lead there.
"""

import json
import os
import select
import signal
import socket
import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.fakes.postgres import postgres
from tests.fakes.storm import DURABLE
from workers import services
from workers.slot import heard

#: Where it is said.
TOLD = "hub.json"


def main(folder: Path, address: str) -> None:
    """Run it all."""
    asked = heard(signal.SIGTERM)
    with ExitStack() as stack:
        stack.enter_context(services.lock(folder))
        secrets = services.secrets(folder)
        own = stack.enter_context(services.services(folder, secrets))
        assert own.store
        assert own.broker
        server = stack.enter_context(postgres(DURABLE))
        broker, store = urlsplit(own.broker.address), urlsplit(own.store.address)
        ports = [
            stack.enter_context(leading(address, target))
            for target in (("127.0.0.1", server.port), unquote(broker.path), ("127.0.0.1", store.port))
        ]
        told = {
            "postgres": {"folder": str(server.folder), "port": server.port, "password": server.password},
            "ledger": f"postgresql://avant:{server.password}@{address}:{ports[0]}/",
            "broker": f"redis://:{broker.password}@{address}:{ports[1]}/0",
            "store": f"http://{address}:{ports[2]}",
            "access_key": secrets.access_key,
            "secret_key": secrets.secret_key,
        }
        part = folder / f"{TOLD}.part"
        part.write_text(json.dumps(told))
        part.rename(folder / TOLD)
        os.read(asked, 1)


@contextmanager
def leading(address: str, target: Any) -> Iterator[int]:
    """A port on `address` that leads to `target`, a socket's path or a host and port."""

    class Way(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX if isinstance(target, str) else socket.AF_INET) as there:
                try:
                    there.connect(target)
                    _carry(self.request, there)
                except OSError:
                    return  # one of both has gone, and so the other is let go

    class Gate(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Gate((address, 0), Way) as gate:
        thread = threading.Thread(target=gate.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield gate.server_address[1]
        finally:
            gate.shutdown()
            thread.join()


def _carry(here: socket.socket, there: socket.socket) -> None:
    """Bytes both ways, until either side ends."""
    other = {here: there, there: here}
    while True:
        for ready in select.select([here, there], [], [])[0]:
            data = ready.recv(1 << 16)
            if not data:
                return
            other[ready].sendall(data)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
