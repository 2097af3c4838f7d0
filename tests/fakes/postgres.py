"""
A real PostgreSQL of the tests' own: databases on demand, each with a fresh ledger if so wished.

It runs as `nobody` where we are root, which it refuses to be, and dies with us.
"""

import os
import pwd
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from sqlalchemy import create_engine, text

from pipelines.tools import process
from workers.ledger import open_ledger

#: What it refuses to be, and who it is then.
ROOT, NOBODY = 0, "nobody"
#: Debian keeps servers out of the path, by version.
PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name))
SERVER = shutil.which("postgres", path=os.pathsep.join([*map(str, PLACES), os.environ.get("PATH", "")]))
#: For speed; a power cut may lose what tests keep.
CARELESS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
TEMPLATE = "ledger"


@dataclass(slots=True, kw_only=True)
class Postgres:
    """A running server. Whoever comes over the socket in `folder` needs no password; over loopback, this one."""

    folder: Path
    port: int
    password: str = field(repr=False)
    settings: Sequence[str]
    child: process.Child | None = None

    def socket(self, database: str) -> str:
        """The address of a database over the socket."""
        return f"postgresql://avant@/{database}?host={self.folder}&port={self.port}"

    def network(self, database: str) -> str:
        """The address of a database over loopback."""
        return f"postgresql://avant:{self.password}@127.0.0.1:{self.port}/{database}"

    def empty(self) -> str:
        """The name of a new database without anything in it."""
        return self._create("template1")

    def ledger(self) -> str:
        """The address of a new ledger; copied, which takes less time than migrations."""
        return self.socket(self._create(TEMPLATE))

    def sql(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run a statement as the server's owner; its rows."""
        engine = create_engine(self.socket(database).replace("postgresql:", "postgresql+psycopg:"))
        try:
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                found = connection.execute(text(statement))
                return [tuple(row) for row in found] if found.returns_rows else []
        finally:
            engine.dispose()

    def start(self) -> None:
        """Start the server; return when it answers."""
        argv = [SERVER or "postgres", "-D", str(self.folder / "data"), "-k", str(self.folder), "-p", str(self.port)]
        argv += [word for setting in (*self.settings, "listen_addresses=127.0.0.1") for word in ("-c", setting)]
        self.child = process.start(_demoted(argv), cwd=self.folder, log=self.folder / "log")
        pause = Event()
        while not self._answers():
            assert self.child.poll() is None, (self.folder / "log").read_text()
            pause.wait(0.02)

    def stop(self) -> None:
        """End the server as a crash would: without a word to anyone. Returns when nothing of it is left."""
        if self.child:
            process.stop(self.child, 0)
            self.child = None
        pause = Event()
        # Its backends are no part of its process group; until they have noticed, nobody can start it again.
        while any(_folder_of(proc) == self.folder / "data" for proc in Path("/proc").glob("[0-9]*")):
            pause.wait(0.02)

    def _answers(self) -> bool:
        ready = Path(SERVER or "").with_name("pg_isready")
        argv = [str(ready), "-q", "-h", str(self.folder), "-p", str(self.port), "-t", "1"]
        return process.start(argv).wait() == 0

    def _create(self, template: str) -> str:
        name = f"t{secrets.token_hex(6)}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return name


@contextmanager
def postgres(settings: Sequence[str] = CARELESS, *, tls: tuple[str, str] | None = None) -> Iterator[Postgres]:
    """
    A server in a folder of its own, with a template for ledgers, for as long as the context lasts.

    `tls` are the texts of a certificate and its key.
    """
    folder = Path(tempfile.mkdtemp(prefix="avant-pg-"))
    try:
        if os.getuid() == ROOT:
            shutil.chown(folder, NOBODY)
        password = folder / "password"
        password.write_text(secrets.token_hex(8))
        password.chmod(0o644)
        _initialise(folder, password)
        if tls:
            settings = [*settings, "ssl=on", *_certified(folder, *tls)]
        server = Postgres(folder=folder, port=_free_port(), password=password.read_text(), settings=settings)
        server.start()
        try:
            server.sql(f"CREATE DATABASE {TEMPLATE}")
            open_ledger(server.socket(TEMPLATE)).close()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _initialise(folder: Path, password: Path) -> None:
    initdb = str(Path(SERVER or "initdb").with_name("initdb"))
    argv = [initdb, "--no-sync", "-U", "avant", "-E", "UTF8", "--locale=C", "-D", str(folder / "data")]
    argv += ["--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={password}"]
    process.run(_demoted(argv), cwd=folder)


def _certified(folder: Path, certificate: str, key: str) -> Iterator[str]:
    """The settings that name these two, kept where only the server reads them."""
    for setting, text_ in (("ssl_cert_file", certificate), ("ssl_key_file", key)):
        path = folder / setting
        path.touch(mode=0o600)
        path.write_text(text_)
        if os.getuid() == ROOT:
            shutil.chown(path, NOBODY)
        yield f"{setting}={path}"


def _folder_of(proc: Path) -> Path | None:
    """Where a process works; None when it has ended meanwhile."""
    try:
        return (proc / "cwd").readlink()
    except OSError:
        return None


def _demoted(argv: Sequence[str]) -> list[str]:
    if os.getuid() != ROOT:
        return list(argv)
    group = pwd.getpwnam(NOBODY).pw_gid
    # Whoever changes its user loses the wish to die with its parent, and has to say it again.
    to_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={group}", "--clear-groups", "--pdeathsig", "KILL", "--"]
    return [*to_nobody, *argv]


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port
