"""`python -m scripts.edge`: what a farm's machine gets."""

import getpass
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.edge import PATH
from tests.fakes import edges
from tests.fakes.edges import DOOR, KEY, PROGRAMS
from tests.fakes.sites import SECRET

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


def render(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "edge.toml").write_text(text)
    (folder / "key").write_text(KEY + "\n")
    (folder / "door").write_text(DOOR + "\n")
    command = [sys.executable, "-m", "scripts.edge", str(folder / "edge.toml")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("server", PROGRAMS)
def test_the_server_takes_what_was_written(server: str, tmp_path: Path) -> None:
    """A PoP with two shields and tokens, read by the real server; the secrets by nobody else."""
    edges.need(server)
    made = render(tmp_path, DOCUMENT.format(server=server, folder=tmp_path, user=getpass.getuser()))
    assert made.returncode == 0, made.stderr
    config = Path(made.stderr.split()[-1])
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert DOOR in config.read_text()
    assert DOOR not in made.stderr
    check = {"nginx": ["nginx", "-t", "-q", "-c"], "varnish": ["varnishd", "-j", "none", "-C", "-f"]}[server]
    subprocess.run([*check, config], check=True, capture_output=True, env={"PATH": PATH})


@pytest.mark.parametrize(
    ("was", "to", "said"),
    [
        ("asked = 5000", "askd = 5000", "Did you mean `asked`?"),
        ("/key", "/nowhere", "can't be read"),
        ("paris-1", "Paris 1", "can't be an edge's name"),
        ('user = "root"', 'user = "nobody-here"', "has no user"),
        ('user = "root"', 'listen = "1; return 200"', "is not an address"),
    ],
)
def test_what_is_wrong_is_said(was: str, to: str, said: str, tmp_path: Path) -> None:
    """One sentence, and exit code 78; nothing is written, and no secret told."""
    made = render(tmp_path, DOCUMENT.format(server="nginx", folder=tmp_path, user="root").replace(was, to))
    assert made.returncode == 78
    assert said in " ".join(made.stderr.split())
    assert not (tmp_path / "made" / "nginx.conf").exists()
    assert SECRET not in made.stderr
