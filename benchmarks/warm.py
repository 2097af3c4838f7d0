"""
Warming: segment-sized objects from an nginx on the same machine, one process of ours, HTTP/1.1, with and without TLS.

    python -m benchmarks.warm [--objects 10000] [--size 1500000] [--rounds 5] [--quick] [--json]

Bits per second of processor time, ours alone: what a core of a farm warms. Beside it, in turn, `wrk` (Debian's package;
one thread, as many connections), which walks the same list for some seconds. Every object has its own name; nginx sends
one file for all.
"""

import argparse
import json
import os
import re
import resource
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.bars import Bar, Figure, Results, parser, say
from benchmarks.measure import run
from pipelines.tools import process
from pipelines.version import Item
from pipelines.warm import Capacity, Edge
from pipelines.warm.players import BROWSER
from pipelines.warm.sweep import Ask, Asker

#: Gb/s for each core second of ours, and bytes that memory may grow by from a tenth of the objects to all.
LIMIT, GROWTH = 4.0, 16 << 20
#: Seconds for which wrk walks the list, again from its beginning if need be: it knows no end but time.
WALK = 5
CONNECTIONS = 4
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"
WRK = shutil.which("wrk")
CONFIG = """
daemon off;
user root;
pid "{folder}/pid";
error_log "{folder}/error.log" warn;
worker_processes 1;
events {{ worker_connections 512; }}
http {{
    access_log off;
    sendfile on;
    keepalive_requests 1000000;
    client_body_temp_path "{folder}/body";
    proxy_temp_path "{folder}/proxy";
    fastcgi_temp_path "{folder}/fastcgi";
    uwsgi_temp_path "{folder}/uwsgi";
    scgi_temp_path "{folder}/scgi";
    ssl_certificate "{folder}/cert.pem";
    ssl_certificate_key "{folder}/key.pem";
    server {{
        listen 127.0.0.1:{plain};
        listen 127.0.0.1:{secure} ssl;
        add_header X-Cache-Status HIT;
        root "{folder}";
        location / {{ rewrite ^ /segment.m4s break; }}
    }}
}}
"""
LUA = """
n = 0
request = function()
  n = n + 1
  return wrk.format("GET", string.format("/t/a/%05d.m4s", n % {objects}))
end
"""


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--objects", type=int, default=10_000)
    options.add_argument("--size", type=int, default=1_500_000, help="bytes: six seconds of 2 Mb/s")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--client", help=argparse.SUPPRESS)  # this very program, as the process that is measured
    options.add_argument("--ca", type=Path, help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.client:
        client(asked)
        return
    objects, rounds = (2_000, 3) if asked.quick else (asked.objects, asked.rounds)
    results = Results(title="warm")
    with tempfile.TemporaryDirectory(prefix="avant-bench-") as name, served(Path(name), asked.size) as urls:
        for url in urls.values():
            measured(results, url, Path(name), objects=objects, rounds=rounds)
        results.extra["memory"] = memory(results, urls["http"], Path(name), objects)
    if not WRK:
        results.extra["wrk"] = "not installed, so no ratio to it: apt-get install wrk"
    results.extra.update({"objects": objects, "bytes each": asked.size, "connections": CONNECTIONS, "rounds": rounds})
    results.report(as_json=asked.json)


def measured(results: Results, url: str, folder: Path, *, objects: int, rounds: int) -> None:
    """Ours, and wrk if it is there, in turn."""
    scheme = url.partition(":")[0]
    ours, theirs = [], []
    for number in range(rounds):
        ours.append(timed(url, folder, objects))
        theirs += [walked(url, folder, objects)] if WRK else []
        said = f"{ours[-1]['core']:.1f}" + (f", wrk {theirs[-1]['core']:.1f}" if theirs else "")
        say(f"{scheme}, round {number + 1} of {rounds}, Gb/s a core: {said}")
    for what, unit in (("core", "Gb/s per core second"), ("wall", "Gb/s of wall time")) if theirs else ():
        both = [tuple(one[what] for one in side) for side in (ours, theirs)]
        results.figures.append(Figure(name=f"{scheme}: {unit}", unit="", ours=both[0], peer=both[1], peer_name="wrk"))
    cores = [one["core"] for one in ours]
    core, spread = median(cores), (max(cores) - min(cores)) / 2
    bar = Bar(name=f"{scheme}: Gb/s per core, at least", measured=core, limit=LIMIT, holds=core - spread >= LIMIT)
    results.bars.append(bar)


def memory(results: Results, url: str, folder: Path, objects: int) -> str:
    few, many = (timed(url, folder, count)["memory"] for count in (objects // 10, objects))
    grown = many - few
    results.bars.append(Bar(name="memory grown, bytes, at most", measured=grown, limit=GROWTH, holds=grown <= GROWTH))
    return f"{few / 1e6:.1f} MB after {objects // 10} objects, {many / 1e6:.1f} MB after {objects}"


def walked(url: str, folder: Path, objects: int) -> dict[str, float]:
    """`wrk` on the same list, asking what our warming asks."""
    script = folder / "list.lua"
    script.write_text(LUA.format(objects=objects))
    headers = [word for name, value in BROWSER.items() for word in ("-H", f"{name}: {value}")]
    command = [WRK or "", "-t1", f"-c{CONNECTIONS}", f"-d{WALK}s", *headers, "-s", str(script), url]
    wall, cpu, _, said = run(command)
    # `1234 requests in 5.00s, 1.72GB read`
    told = re.search(r", ([\d.]+)([KMG])B read", said)
    if not told:
        raise SystemExit(f"wrk does not say what it read: {said}")
    size = 8 * float(told[1]) * {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}[told[2]] / 1e9
    return {"core": size / cpu, "wall": size / wall}


def timed(url: str, folder: Path, objects: int) -> dict[str, float]:
    """One process of ours on the whole list."""
    said = run(
        [
            *(sys.executable, "-m", "benchmarks.warm", "--client", url, "--ca", str(folder / "cert.pem")),
            *("--objects", str(objects)),
        ]
    )[3]
    told: dict[str, float] = json.loads(said)
    return told


def client(asked: argparse.Namespace) -> None:
    """The process that is measured; what it found as JSON."""
    keys = [f"t/a/{number:05d}.m4s" for number in range(asked.objects)]
    usage, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    size = warmed(asked.client, asked.ca, keys)
    wall, now = time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF)
    cpu = now.ru_utime + now.ru_stime - usage.ru_utime - usage.ru_stime
    told = {"core": 8 * size / cpu / 1e9, "wall": 8 * size / wall / 1e9, "memory": now.ru_maxrss * 1024}
    sys.stdout.write(json.dumps(told))


def warmed(url: str, ca: Path, keys: list[str]) -> int:
    """What warming does with its list: bytes that came."""
    edge = Edge(name="bench", url=url, ca=ca, capacity=Capacity(connections=CONNECTIONS))
    items = (Item(key=key, size=0, sha256="") for key in keys)
    asks = (Ask(index=n, item=item, headers=BROWSER) for n, item in enumerate(items))
    with Asker(edge) as asker:
        return sum(heard.answer.sent for heard in asker.each(asks, lambda: None))


@contextmanager
def served(folder: Path, size: int) -> Iterator[dict[str, str]]:
    """An nginx with one file under every name; its addresses by scheme."""
    (folder / "segment.m4s").write_bytes(os.urandom(size))
    run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")),
        ]
    )
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        plain, secure = one.getsockname()[1], two.getsockname()[1]
    (folder / "nginx.conf").write_text(CONFIG.format(folder=folder, plain=plain, secure=secure))
    nginx = shutil.which("nginx", path=PATH) or "nginx"
    child = process.start([nginx, "-p", str(folder), "-c", str(folder / "nginx.conf")], log=folder / "log")
    try:
        until = time.monotonic() + 10
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", plain)) == 0:
                    break
            if time.monotonic() > until:
                raise SystemExit((folder / "log").read_text())
            time.sleep(0.05)
        yield {"http": f"http://127.0.0.1:{plain}", "https": f"https://127.0.0.1:{secure}"}
    finally:
        process.stop(child, 5.0)


if __name__ == "__main__":
    main()
