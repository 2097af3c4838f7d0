"""The services that one machine runs for itself."""

import json
import os
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from pipelines.errors import ConfigurationError, HostError
from pipelines.layout import PRIVATE
from pipelines.tools.s3 import Store, Upload
from workers import services

UPLOAD = Upload(key="t/a/init.mp4", body=b"x" * 100_000, content_type="video/mp4", cache_control=PRIVATE)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder as `avant run` has it: locked, with spaces in its name."""
    place = tmp_path / "a farm's folder"
    with services.lock(place):
        yield place


def opened(running: services.Running, secrets: services.Secrets) -> Store:
    return Store(
        endpoint=running.address,
        region=services.REGION,
        bucket=services.BUCKET,
        access_key=secrets.access_key,
        secret_key=secrets.secret_key,
    )


def command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def test_lock(folder: Path) -> None:
    """A folder is one process's; the other is told whose."""
    with pytest.raises(ConfigurationError, match=f"Process {os.getpid()} is at work in"), services.lock(folder):
        pass


def test_lock_again(tmp_path: Path) -> None:
    """A folder that was let go can be had again."""
    for _ in range(2):
        with services.lock(tmp_path / "farm"):
            pass


def test_folder_is_somebody_elses(tmp_path: Path) -> None:
    """A folder that can't be made is a sentence."""
    (tmp_path / "file").touch()
    with pytest.raises(HostError, match="can't be made"), services.lock(tmp_path / "file" / "farm"):
        pass


def test_secrets(folder: Path) -> None:
    """Secrets are made once, told by no repr, and readable by us alone."""
    secrets = services.secrets(folder)
    assert services.secrets(folder) == secrets
    assert repr(secrets) == "Secrets()"
    assert stat.S_IMODE((folder / "secrets.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("text", ["", "{}", '{"naming_key": '])
def test_damaged_secrets(folder: Path, text: str) -> None:
    """Damaged secrets are not replaced: everything stored would change its name."""
    (folder / "secrets.json").write_text(text)
    with pytest.raises(ConfigurationError, match="is damaged"):
        services.secrets(folder)
    assert (folder / "secrets.json").read_text() == text


def test_store_survives_kill(folder: Path) -> None:
    """What was written is there after SIGKILL and a restart, at the same address, and nothing tells the credentials."""
    secrets = services.secrets(folder)
    first = services.start_store(folder, secrets)
    try:
        first.wait()
        store = opened(first, secrets)
        written = store.put_once(UPLOAD)
        assert secrets.secret_key not in command(first.child.pid)
        assert secrets.secret_key not in (folder / "logs" / "store.log").read_text()
        first.child.send_signal(signal.SIGKILL)
        first.child.wait()
        with pytest.raises(HostError, match="The object store ended by itself"):
            first.check()
    finally:
        first.stop()
    second = services.start_store(folder, secrets)
    try:
        second.wait()
        assert second.address == first.address
        assert store.put_once(UPLOAD) == written
        assert store.get(UPLOAD.key) == (UPLOAD.body, store.head(UPLOAD.key).etag)  # type: ignore[union-attr]
        store.close()
    finally:
        second.stop()


def test_all_of_it(folder: Path) -> None:
    """Both run side by side, on loopback and a private socket, and leave neither process nor socket behind."""
    secrets = services.secrets(folder)
    taken = socket.create_server(("127.0.0.1", 0))
    (folder / "ports.json").write_text(json.dumps({"s3": taken.getsockname()[1]}))
    with taken, services.services(folder, secrets) as running:
        assert running.store
        assert running.broker
        store = opened(running.store, secrets)
        assert urlsplit(running.store.address).port != taken.getsockname()[1]
        store.check_conditional_writes()
        store.close()
        assert ask_broker(running.broker.address, f"AUTH {secrets.broker_password}", "PING") == ["+OK", "+PONG"]
        assert ask_broker(running.broker.address, "PING")[0].startswith("-NOAUTH")
        assert secrets.broker_password not in command(running.broker.child.pid) + repr(running)
        children = [running.store.child, running.broker.child]
        assert listening_elsewhere([child.pid for child in children]) == []
    assert all(child.returncode is not None for child in children)
    assert [path for path in folder.rglob("*") if path.is_socket()] == []
    assert [path for path in running.store.leaves if path.exists()] == []


def test_only_what_is_asked_for(folder: Path) -> None:
    """What a setting names is not started."""
    with services.services(folder, services.secrets(folder), store=False) as running:
        assert running.store is None
        assert running.broker
    assert not (folder / "store").exists()


def test_deep_folder(tmp_path: Path) -> None:
    """A folder whose path is too long for a socket works all the same."""
    deep = tmp_path / ("d" * 100)
    with services.lock(deep):
        secrets = services.secrets(deep)
        with services.services(deep, secrets, store=False) as running:
            assert running.broker
            assert ask_broker(running.broker.address, f"AUTH {secrets.broker_password}") == ["+OK"]


def ask_broker(address: str, *commands: str) -> list[str]:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(unquote(urlsplit(address).path))
        with client.makefile("rw", newline="\r\n") as talk:
            answers = []
            for line in commands:
                talk.write(f"{line}\r\n")
                talk.flush()
                answers.append(talk.readline().strip())
            return answers


def listening_elsewhere(pids: list[int]) -> list[str]:
    """Addresses other than 127.0.0.1 that these processes listen on (proc(5): state 0A is listening)."""
    links = [link.readlink() for pid in pids for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
    inodes = {link.name.removeprefix("socket:[").rstrip("]") for link in links}
    tables = [Path(f"/proc/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    lines = [line.split() for table in tables for line in table]
    listening = [line for line in lines if line[3] == "0A" and line[9] in inodes]
    assert len(listening) >= 4
    return [line[1] for line in listening if not line[1].startswith("0100007F:")]
