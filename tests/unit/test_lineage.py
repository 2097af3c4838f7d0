"""Who dies with whom, and whose orphans become whose. Tried by processes of their own: neither can be undone."""

import sys

import pytest

from pipelines.errors import ToolError
from pipelines.tools import process

ADOPTS = """
import os, signal, subprocess
from pipelines.tools import lineage
lineage.adopt()
orphan = int(subprocess.run(["sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"], capture_output=True, check=True).stdout)
assert lineage.children() == [orphan]
os.kill(orphan, signal.SIGKILL)
assert os.waitpid(-1, 0) == (orphan, signal.SIGKILL)
assert lineage.children() == []
"""
FOLLOWS = """
import os, signal, time
from pipelines.tools import lineage
reader, writer = os.pipe()
if (child := os.fork()) == 0:
    parent = os.getpid()
    if os.fork() == 0:
        lineage.follow(parent)
        os.write(writer, b"follows")
        signal.pause()
    signal.pause()
os.close(writer)
assert os.read(reader, 7) == b"follows"
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
assert os.read(reader, 1) == b""
"""


def ran(program: str) -> process.Finished:
    return process.run([sys.executable, "-c", program])


def test_orphans_are_adopted() -> None:
    """What outlives a child of ours is ours, to be ended and reaped."""
    ran(ADOPTS)


def test_who_is_forked_follows() -> None:
    """Nobody has to tell it."""
    ran(FOLLOWS)


def test_a_parent_that_is_gone_is_noticed() -> None:
    """The kernel would say nothing any more."""
    with pytest.raises(ToolError, match="has died meanwhile"):
        ran("from pipelines.tools import lineage; lineage.follow(1)")
