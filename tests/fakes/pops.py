"""Many PoPs behind one shield: an nginx with a server and a cache for each; or one Varnish."""

import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from pipelines.tools import process
from pipelines.warm import Edge
from scripts import edge

HEAD = """
daemon off;
user root;
pid "{folder}/pid";
error_log "{folder}/error.log" warn;
worker_processes 1;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    client_body_temp_path "{folder}/body";
    proxy_temp_path "{folder}/proxy";
    fastcgi_temp_path "{folder}/fastcgi";
    uwsgi_temp_path "{folder}/uwsgi";
    scgi_temp_path "{folder}/scgi";
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_cache_lock on;
    gzip on;
    gzip_proxied any;
    gzip_types application/vnd.apple.mpegurl;
"""
POP = """
    proxy_cache_path "{folder}/cache-{n}" keys_zone=pop{n}:1m max_size=1g inactive=1d use_temp_path=off;
    server {{
        listen 127.0.0.1:{port};
        add_header X-Cache-Status $upstream_cache_status always;
        add_header X-Served-By pop-{n} always;
        location / {{
            proxy_cache pop{n};
            proxy_cache_key $uri;
            proxy_pass {shield};
        }}
    }}
"""


CARELESS = """
    server {{
        listen 127.0.0.1:{port};
        add_header X-Cache-Status HIT always;
        location / {{
            proxy_set_header Referer "{secret}";
            proxy_pass {origin};
        }}
    }}
"""


def free_ports(count: int) -> list[int]:
    """Ports that nobody has, all different."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


@contextmanager
def nginx_pops(folder: Path, shield: Edge, count: int) -> Iterator[list[Edge]]:
    """That many PoPs that fill from `shield`."""
    folder.mkdir()
    ports = free_ports(count)
    servers = [POP.format(folder=folder, n=n, port=port, shield=shield.url) for n, port in enumerate(ports)]
    config = folder / "nginx.conf"
    config.write_text(HEAD.format(folder=folder) + "".join(servers) + "}\n")
    with ran(["nginx", "-p", str(folder), "-c", str(config)], folder / "log", ports[-1]):
        yield [
            Edge(name=f"pop-{n}", url=f"http://127.0.0.1:{port}", shield=shield.name, pop=f"pop-{n}")
            for n, port in enumerate(ports)
        ]


@contextmanager
def careless(folder: Path, origin: str, secret: str) -> Iterator[Edge]:
    """An nginx that keeps nothing and calls everything a hit."""
    folder.mkdir()
    (port,) = free_ports(1)
    config = folder / "nginx.conf"
    server = CARELESS.format(port=port, origin=origin if origin.count("/") == 2 else f"{origin}/", secret=secret)
    config.write_text(HEAD.format(folder=folder) + server + "}\n")
    with ran(["nginx", "-p", str(folder), "-c", str(config)], folder / "log", port):
        yield Edge(name="careless", url=f"http://127.0.0.1:{port}")


@contextmanager
def varnish_pop(folder: Path, shield: Edge) -> Iterator[Edge]:
    """A Varnish that fills from `shield`, as it comes."""
    folder.mkdir()
    (port,) = free_ports(1)
    backend = shield.url.removeprefix("http://").rstrip("/")
    where = ["-n", str(folder / "work"), "-a", f"127.0.0.1:{port}", "-b", backend, "-s", "malloc,64m"]
    with ran(["varnishd", "-F", *where], folder / "log", port):
        yield Edge(name="varnish", kind="varnish", url=f"http://127.0.0.1:{port}", shield=shield.name)


@contextmanager
def ran(argv: list[str], log: Path, port: int) -> Iterator[None]:
    """A server, from when it listens on that port until the context ends."""
    program = shutil.which(argv[0], path=edge.PATH)
    if not program and not os.environ.get("CI"):
        pytest.skip(f"{argv[0]} is not installed")
    assert program, f"{argv[0]} is not installed"
    child = process.start(["setpriv", "--pdeathsig", "TERM", "--", program, *argv[1:]], log=log)
    try:
        until = time.monotonic() + 20
        while True:
            assert child.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield
    finally:
        process.stop(child, 5.0)
