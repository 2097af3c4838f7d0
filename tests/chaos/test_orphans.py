"""A slot that dies at the worst moment leaves nothing behind: while a tool is being started."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.fakes.farm import broker, plan, step, until
from tests.fakes.hand import STORE
from tests.fakes.hosts import Host, alive, signalled, words
from tests.fakes.kin import kin
from workers.ledger import open_ledger
from workers.settings import Settings

#: Stands before the real one, and takes its time over whoever starts `sleep`.
SLOW = """#!/bin/sh
case "$*" in *" sleep "*) sleep 2 ;; esac
exec {setpriv} "$@"
"""


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """One slot, whose tools are long in starting; its step would take a minute."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "setpriv").write_text(SLOW.format(setpriv=shutil.which("setpriv")))
    (tools / "setpriv").chmod(0o755)
    environment = {STORE: str(tmp_path / "store"), "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    with broker(tmp_path / "broker") as address:
        settings = Settings(
            home=tmp_path / "home",
            broker_url=address,
            s3_endpoint="http://127.0.0.1:1",
            s3_access_key="nobody",
            s3_secret_key=SecretStr("nothing"),
            naming_key=SecretStr("00"),
        )
        ledger = open_ledger(settings.ledger_address)
        ledger.submit(plan("e", [step("long", does="60")]), deadline=None)
        ledger.close()
        one = Host(settings=settings, module="tests.fakes.hand", slots=["heavy"], environment=environment)
        one.start()
        yield one
        one.kill()
        one.gone()


def starting(host: Host) -> list[int]:
    """Tools that are not yet bound to their slot."""
    return [pid for pid in kin(host.home) if words(pid)[:1] == ["/bin/sh"]]


@pytest.mark.parametrize("dies", ["slot", "supervisor"])
def test_a_tool_that_was_being_started_ends_with_its_slot(dies: str, host: Host) -> None:
    """By the supervisor that has the slot replaced, or by the one that follows a dead one."""
    until(lambda: bool(starting(host)))
    tool = starting(host)[0]
    if dies == "slot":
        signalled(next(iter(host.crew().values())), signal.SIGKILL)
    else:
        host.kill()
        host.start()
    until(lambda: not alive(tool), patience=10)
    assert host.orphans() == set()
