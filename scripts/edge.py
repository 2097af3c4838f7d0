"""
An nginx between viewers and the store, for as long as someone needs it: the demo, and the tests.

The configuration is the one that the repository ships for farms, in deploy/edge; here it is filled in and run.
"""

import grp
import os
import pwd
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from pipelines.errors import ConfigurationError, HostError
from pipelines.tools import process
from pipelines.warm import Edge

ROOT = Path(__file__).parents[1]
TEMPLATE = ROOT / "deploy" / "edge" / "nginx.conf.template"
PLAYER = ROOT / "scripts" / "player"

#: Debian keeps nginx where only root's PATH leads.
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
READY_WITHIN = 10.0
GRACE = 5.0


@contextmanager
def running(
    folder: Path, origin_endpoint: str, bucket: str, secret: str, *, port: int = 0, player: bool = False
) -> Iterator[Edge]:
    """
    An edge on loopback before `bucket` of the store at `origin_endpoint`; its cache and logs stay in `folder`.

    `secret` is the Referer that the bucket's policy asks for; `port` 0 is the one it had in `folder` last time, if that
    is free; with `player`, a page that plays `/#EPISODE` stands at `/`. Raises `ConfigurationError` when nginx is
    missing or can't work with these, `ToolError` when it refuses its configuration.
    """
    nginx = _nginx()
    (folder / "cache").mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as stack:
        sockets = stack.enter_context(TemporaryDirectory(prefix="avant-edge-"))
        listen = f"127.0.0.1:{port or _port(folder)}"
        text = configuration(
            folder.resolve(),
            Path(sockets),
            listen=listen,
            origin_endpoint=origin_endpoint,
            bucket=bucket,
            secret=secret,
            player=player,
        )
        config = _written(folder, text)
        command = [nginx, "-p", str(folder), "-c", str(config)]
        process.run([*command, "-t", "-q"])
        # We may die in a way that leaves us no last word. A master that is killed leaves its workers behind; one that
        # is asked to end takes them along: so of the two parent-death signals it is the second, gentle one that counts.
        gently = ["setpriv", "--pdeathsig", "TERM", "--"]
        child = process.start([*gently, *command], log=folder / "nginx.log")
        stack.callback(process.stop, child, GRACE)
        _await(listen, alive=lambda: child.poll() is None, log=folder)
        yield Edge(name="local", kind="nginx", url=f"http://{listen}")


def configuration(
    folder: Path,
    sockets: Path,
    *,
    listen: str,
    origin_endpoint: str,
    bucket: str,
    secret: str,
    player: bool = False,
    cache_size: str = "20g",
) -> str:
    """The text of nginx.conf. Raises `ConfigurationError` for a value that would mean something else in it."""
    parts = urlsplit(origin_endpoint)
    if parts.scheme != "http" or not parts.hostname or parts.path.strip("/"):
        raise ConfigurationError(
            f"The store `{origin_endpoint}` is not http://host:port.",
            hint="This edge speaks plain HTTP to a store beside it.",
        )
    if re.search(r'["\\$\n]', f"{folder}{sockets}{PLAYER}"):
        raise ConfigurationError(
            f"nginx can't work in {folder}: the path holds a quote, a dollar or a backslash.",
            hint="Take another folder.",
        )
    if not re.fullmatch(r"[A-Za-z0-9_-]{16,128}", secret):
        raise ConfigurationError(
            "The edge's secret is not 16 to 128 letters, digits, dashes and underscores.", hint="Generate another."
        )
    owner = pwd.getpwuid(os.getuid())
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        user=owner.pw_name,
        group=grp.getgrgid(owner.pw_gid).gr_name,
        listen=listen,
        origin=parts.netloc,
        bucket=bucket,
        secret=secret,
        cache_dir=folder / "cache",
        cache_size=cache_size,
        run_dir=folder,
        socket_dir=sockets,
        player=_player() if player else "",
    )


def _player() -> str:
    """The page at `/`, and nothing else from its folder."""
    return f"""
        location = / {{
            default_type text/html;
            root "{PLAYER}";
            try_files /index.html =404;
        }}"""


def _written(folder: Path, text: str) -> Path:
    """The configuration in a file that is never readable by others: it holds the secret."""
    config = folder / "nginx.conf"
    config.unlink(missing_ok=True)
    config.touch(mode=0o600, exist_ok=False)
    config.write_text(text, encoding="utf-8")
    return config


def _nginx() -> str:
    found = shutil.which("nginx", path=PATH)
    if not found:
        raise ConfigurationError(
            "nginx is not installed; there can be no edge on this machine.", hint="apt-get install nginx-light"
        )
    return found


def _port(folder: Path) -> int:
    """Players keep addresses, and so does the proof of warmth: the port that `folder` remembers, if it is free."""
    kept = folder / "port"
    wanted = int(kept.read_text(encoding="ascii")) if kept.exists() else 0
    with socket.socket() as probe:
        # Connections that have ended still hold the port for a minute, but from nobody who asks like this; nginx does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    kept.write_text(str(port), encoding="ascii")
    return port


def _await(listen: str, *, alive: Callable[[], bool], log: Path) -> None:
    """Return when something accepts connections at `listen`."""
    host, port = listen.split(":")
    until = time.monotonic() + READY_WITHIN
    while alive() and time.monotonic() < until:
        try:
            socket.create_connection((host, int(port)), timeout=1.0).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return
    raise HostError(f"nginx does not come up on {listen}.", hint=f"Read error.log and nginx.log in {log}.")
