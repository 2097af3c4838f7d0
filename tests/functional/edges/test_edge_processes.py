"""Edges as processes: what starts them, what is refused, what outlives them and what does not."""

import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pipelines.errors import ConfigurationError
from scripts.edge import nginx, server, varnish
from scripts.edge.site import Origin, Site
from tests.fakes import edges
from tests.fakes.edges import DOOR, KEY, SERVERS, before, did
from tests.fakes.origin import Reply, origin
from tests.fakes.sites import SECRET, Ask

SEGMENT = f"/t/{'a' * 26}/00001.m4s"
NOWHERE = Origin(endpoint="http://127.0.0.1:9", bucket="bucket", secret=SECRET)
SITE = Site(origins=(NOWHERE,), cache_size="64m")

DYING = """
import sys
from pathlib import Path
from tests.fakes.edges import SERVERS
from tests.functional.edges.test_edge_processes import SITE
with SERVERS[sys.argv[1]](Path(sys.argv[2]), SITE) as up:
    print(up.url, flush=True)
    sys.stdin.read()
"""


def test_what_is_warm_stays_warm_through_a_restart(tmp_path: Path, ask: Ask) -> None:
    """nginx: address and cache outlive the process, so that a proof of warmth does."""
    edges.need("nginx")
    with origin() as behind:
        behind.replies["/bucket" + SEGMENT] = Reply(body=b"media")
        with nginx.running(tmp_path / "edge", before(behind)) as first:
            ask("GET", first.url + SEGMENT)
        with nginx.running(tmp_path / "edge", before(behind)) as second:
            assert second == first
            assert did(ask("GET", second.url + SEGMENT)) == ["edge; hit"]


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("kind", SERVERS)
def test_an_edge_does_not_outlive_whoever_started_it(kind: str, tmp_path: Path, ask: Ask) -> None:
    """Killed without a chance to clean up, no server is left listening."""
    edges.need(kind)
    command = [sys.executable, "-c", DYING, kind, str(tmp_path / "edge")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout
        url = starter.stdout.readline().strip()
        assert ask("GET", url + "/").status == 404
        starter.send_signal(signal.SIGKILL)
    until = time.monotonic() + 10
    while listening(urlsplit(url).port or 0):
        assert time.monotonic() < until


def test_the_player_stands_at_the_door_only_when_asked(tmp_path: Path, ask: Ask) -> None:
    """The page plays what the fragment names; nothing else of its folder is served."""
    edges.need("nginx")
    with nginx.running(tmp_path / "edge", replace(SITE, player=True)) as local:
        page = ask("GET", local.url + "/")
        assert (page.status, page.headers["Content-Type"]) == (200, "text/html")
        assert b"release.json" in page.data
        assert ask("GET", local.url + "/index.html").status == 404


@pytest.mark.parametrize(
    ("site", "said"),
    [
        (replace(SITE, origins=(replace(NOWHERE, endpoint="https://store:443"),)), "is not http://host:port"),
        (replace(SITE, origins=(replace(NOWHERE, endpoint="store:9000"),)), "is not http://host:port"),
        (replace(SITE, origins=(replace(NOWHERE, endpoint='http://a";}:1'),)), "is not http://host:port"),
        (replace(SITE, origins=(replace(NOWHERE, secret='x"; return 200; #aaaaaaa'),)), "secret is not"),
        (replace(SITE, origins=(replace(NOWHERE, bucket='b" + "'),)), "not the name of a bucket"),
        (replace(SITE, origins=(NOWHERE, replace(NOWHERE, bucket=None))), "one or two origins"),
        (replace(SITE, token_key="short"), "secret is not"),
        (replace(SITE, token_key=KEY, door=DOOR), "can't ask for tokens"),
        (replace(SITE, name="1; hit"), "can't be an edge's name"),
        (replace(SITE, cache_size="20g use_temp_path=on"), "is not a size"),
    ],
)
def test_what_can_not_be_configured_is_said(tmp_path: Path, site: Site, said: str) -> None:
    """A value that would mean something else to a server never reaches it."""
    with pytest.raises(ConfigurationError, match=said):
        nginx.configuration(site, tmp_path, tmp_path, "127.0.0.1:1")
    with pytest.raises(ConfigurationError, match=said):
        varnish.configuration(site)


@pytest.mark.parametrize(
    ("kind", "said", "hint"),
    [
        ("nginx", "nginx is not installed", "apt-get install nginx-light"),
        ("varnish", "varnishd is not installed", "apt-get install varnish"),
    ],
)
def test_a_missing_server_is_said(
    kind: str, said: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence, and what to install."""
    monkeypatch.setattr(server, "PATH", str(tmp_path))
    local = SERVERS[kind](tmp_path / "edge", SITE)
    with pytest.raises(ConfigurationError, match=said) as refused, local:
        pass
    assert hint in refused.value.hint
