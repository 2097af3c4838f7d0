"""The repository is a project that people pick up."""

import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True)
    return [ROOT / name for name in listed.stdout.decode().splitlines() if (ROOT / name).is_file()]


LOCKS = [ROOT / "requirements.lock", ROOT / "tests/players/requirements.lock"]
PLAYERS = ROOT / "tests/players/package-lock.json"


@pytest.mark.parametrize("lock", LOCKS, ids=str)
def test_a_lock_names_no_registry(lock: Path) -> None:
    """Whoever installs decides from where."""
    assert "://" not in lock.read_text()


@pytest.mark.parametrize("lock", LOCKS, ids=str)
def test_every_locked_package_has_hashes(lock: Path) -> None:
    """What is installed is what was chosen."""
    lines = re.sub(r"\\\n", " ", lock.read_text()).splitlines()
    pinned = [line for line in lines if "==" in line and not line.startswith("#")]
    assert pinned
    assert all("--hash=sha256:" in line for line in pinned)


def test_the_lock_of_the_players_has_hashes_and_names_no_registry() -> None:
    """The same for npm, whose lock would name the registry in `resolved`."""
    packages = json.loads(PLAYERS.read_text())["packages"]
    locked = [package for name, package in packages.items() if name]
    assert locked
    assert all(package["integrity"].startswith("sha512-") for package in locked)
    assert [package for package in locked if "resolved" in package] == []


def test_links_in_documents_lead_somewhere() -> None:
    """A reader never meets a missing page."""
    dead = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in tracked()
        if page.suffix == ".md"
        for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / link).exists()
    ]
    assert dead == []


def test_files_stay_small() -> None:
    """Where a codebase is unpleasant to read, it is nearly always one file that grew."""
    code = [p for p in tracked() if p.suffix == ".py"]
    assert [str(p.relative_to(ROOT)) for p in code if len(p.read_text().splitlines()) > 450] == []
