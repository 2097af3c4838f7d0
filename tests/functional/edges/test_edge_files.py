"""`python -m scripts.edge`: what a farm's machine gets."""

import getpass
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.errors import ConfigurationError
from presets.document import DocumentError
from scripts.edge import PATH
from scripts.edge.__main__ import render
from tests.fakes import edges
from tests.fakes.edges import DOOR, KEY, PROGRAMS

DOCUMENT = """
server = "{server}"
name = "paris-1"
folder = "{folder}/made"
sockets = "{folder}/made"
user = "{user}"
token_key_file = "{folder}/key"

[[origins]]
endpoint = "http://127.0.0.1:6081"
secret_file = "{folder}/door"

[[origins]]
endpoint = "http://127.0.0.1:6082"
secret_file = "{folder}/door"

[limits]
asked = 5000
"""


def document(folder: Path, server: str) -> Path:
    (folder / "key").write_text(KEY + "\n")
    (folder / "door").write_text(DOOR + "\n")
    path = folder / "edge.toml"
    path.write_text(DOCUMENT.format(server=server, folder=folder, user=getpass.getuser()))
    return path


@pytest.mark.parametrize("server", PROGRAMS)
def test_the_server_takes_what_was_written(server: str, tmp_path: Path) -> None:
    """A PoP with two shields and tokens, read by the real server; the secrets by nobody else."""
    edges.need(server)
    command = [sys.executable, "-m", "scripts.edge", document(tmp_path, server)]
    made = subprocess.run(command, capture_output=True, text=True, check=True)
    config = Path(made.stderr.split()[-1])
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert DOOR in config.read_text()
    check = {"nginx": ["nginx", "-t", "-q", "-c"], "varnish": ["varnishd", "-j", "none", "-C", "-f"]}[server]
    subprocess.run([*check, config], check=True, capture_output=True, env={"PATH": PATH})


@pytest.mark.parametrize(
    ("was", "to", "said"),
    [
        ("asked = 5000", "askd = 5000", "`limits.askd` is not a key"),
        ("/key", "/nowhere", "can't be read"),
        ("paris-1", "Paris 1", "can't be an edge's name"),
        ("user =", 'user = "nobody-here" #', "has no user"),
        ("user =", 'listen = "1; return 200" #', "is not an address"),
    ],
)
def test_what_is_wrong_is_said(was: str, to: str, said: str, tmp_path: Path) -> None:
    """One sentence; nothing is written, and no secret told."""
    path = document(tmp_path, "nginx")
    path.write_text(path.read_text().replace(was, to))
    with pytest.raises((ConfigurationError, DocumentError), match=said) as refused:
        render(path)
    assert not (tmp_path / "made" / "nginx.conf").exists()
    assert DOOR not in str(refused.value)
