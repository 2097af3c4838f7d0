"""Children that can't outlive us, can't hang unseen, and can't fill our memory."""

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.errors import AvantError, HostError, Interrupted, ToolError
from pipelines.tools import process


def sh(script: str) -> list[str]:
    return ["sh", "-c", script]


def gone(pid: int) -> bool:
    """Whether that process has ended, waiting a little for the kernel to have done its work."""
    try:
        ended = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select_readable(ended))
    finally:
        os.close(ended)


def select_readable(descriptor: int) -> list[int]:
    import select

    return select.select([descriptor], [], [], 5)[0]


def test_streams() -> None:
    """A tool that succeeds gives its whole output and the end of its talk; it has nothing to read."""
    finished = process.run(sh("cat; echo out; echo err >&2"))
    assert finished == process.Finished(stdout=b"out\n", tail="err")


def test_large_output() -> None:
    """Output larger than a pipe arrives whole."""
    assert len(process.run(sh("head -c 3000000 /dev/zero")).stdout) == 3_000_000


def test_lines() -> None:
    """Lines are given as they come, the last even without an end."""
    lines: list[str] = []
    finished = process.run(sh(r"printf 'a\r\n\303\251\n\nlast'"), on_line=lines.append)
    assert (lines, finished.stdout) == (["a", "é", "", "last"], b"")


def test_failure() -> None:
    """A failure carries what was run, its status and its last words, and crosses processes whole."""
    with pytest.raises(ToolError, match=r"^sh failed with exit status 3: no such codec\.$") as raised:
        process.run(sh("echo one >&2; echo no such codec. >&2; exit 3"))
    error = pickle.loads(pickle.dumps(raised.value))
    assert (error.argv[0], error.status, error.tail) == ("sh", 3, "one\nno such codec.")
    assert (error.message, error.hint, error.retryable) == (raised.value.message, "", True)


def test_signal() -> None:
    """A tool that crashes is told by the signal."""
    with pytest.raises(ToolError, match="was ended by SIGSEGV") as raised:
        process.run(sh("kill -SEGV $$"))
    assert raised.value.status == -signal.SIGSEGV


def test_endless_talk() -> None:
    """Of endless talk only the end is kept, even of one endless line."""
    finished = process.run(sh("head -c 9000000 /dev/zero | tr '\\0' x >&2; seq 1000 >&2"))
    assert finished.tail.splitlines() == [str(number) for number in range(981, 1001)]
    assert len(process.run(sh("head -c 9000000 /dev/zero | tr '\\0' x >&2")).tail) == process.TAIL_BYTES


@pytest.mark.parametrize("on_line", [None, print])
def test_output_limit(on_line: None) -> None:
    """A tool that writes without end is stopped."""
    with pytest.raises(ToolError, match="sh wrote more than 100000 bytes"):
        process.run(sh("tr '\\0' x < /dev/zero"), limit=100_000, on_line=on_line)


def test_capability() -> None:
    """The address of a supply appears in no error."""
    url = "http://127.0.0.1:34567/Abc-_9"
    with pytest.raises(ToolError) as raised:
        process.run(sh(f"echo {url}: not found >&2; exit 1"))
    error = raised.value
    assert error.message == "sh failed with exit status 1: <source>: not found."
    assert "Abc" not in f"{error.argv} {error.tail}"


def test_missing_program() -> None:
    """A program that is missing is the host's lack, not the tool's failure."""
    with pytest.raises(HostError, match="`no-such-tool` is missing"):
        process.run(["no-such-tool"])


def test_missing_setpriv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the program that binds children to us, nothing is run."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match="setpriv"):
        process.run(["/bin/true"])


def test_disk_full() -> None:
    """A full disk is told as that, with what to do."""
    with pytest.raises(HostError, match="disk is full") as raised:
        process.run(sh("echo 'x.mp4: No space left on device' >&2; exit 1"))
    assert raised.value.hint


def test_stall() -> None:
    """A tool that neither says nor does anything is stopped; one that works silently is not."""
    with pytest.raises(ToolError, match="did nothing for"):
        process.run(["sleep", "60"], stall=0.3)
    process.run(sh("i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"), stall=0.3)


def test_watch(tmp_path: Path) -> None:
    """When the work no longer counts, the whole group is killed at once and the reason goes on."""
    pids = tmp_path / "pids"

    def watch() -> None:
        if pids.exists():
            raise Interrupted("The lease was lost.")

    began = time.monotonic()
    with pytest.raises(Interrupted):
        process.run(sh(f"trap '' TERM; sleep 60 & echo $$ $! > {pids}.part; mv {pids}.part {pids}; wait"), watch=watch)
    assert time.monotonic() - began < 3
    assert all(gone(int(pid)) for pid in pids.read_text().split())


def test_line_raises() -> None:
    """What a reader of lines raises ends the tool too."""

    def refuse(line: str) -> None:
        raise AvantError(line)

    with pytest.raises(AvantError, match="first"):
        process.run(sh("echo first; sleep 60"), on_line=refuse)


def test_left_behind(tmp_path: Path) -> None:
    """What a tool leaves running in its group ends with it, though it holds the pipes open."""
    pid = tmp_path / "pid"
    began = time.monotonic()
    process.run(sh(f"sleep 60 & echo $! > {pid}"))
    assert time.monotonic() - began < 3
    assert gone(int(pid.read_text()))


def test_dies_with_us(tmp_path: Path) -> None:
    """A tool dies when its parent is killed."""
    code = f"""
from pipelines.tools import process
process.run(["sh", "-c", "echo $$ > {tmp_path}/part; mv {tmp_path}/part {tmp_path}/pid; sleep 60"])
"""
    with subprocess.Popen([sys.executable, "-c", code]) as parent:
        deadline = time.monotonic() + 20
        while not (tmp_path / "pid").exists():
            assert time.monotonic() < deadline
            os.sched_yield()
        parent.kill()
    assert gone(int((tmp_path / "pid").read_text()))


def test_start_and_stop(tmp_path: Path) -> None:
    """A long-running child writes to its log, ends when asked, and is killed with its group when it won't."""
    log = tmp_path / "log"
    polite = process.start(sh("echo $WHO; exec sleep 60"), env={"WHO": "polite"}, cwd=tmp_path, log=log)
    stubborn = process.start(sh("trap '' TERM; echo stubborn; while :; do read x < /dev/zero; done"), log=log)
    deadline = time.monotonic() + 10
    while len(log.read_text().split()) < 2:
        assert time.monotonic() < deadline
        os.sched_yield()
    process.stop(polite, 5)
    process.stop(stubborn, 0.1)
    assert (polite.returncode, stubborn.returncode) == (-signal.SIGTERM, -signal.SIGKILL)
    assert sorted(log.read_text().split()) == ["polite", "stubborn"]
    process.stop(polite, 5)
