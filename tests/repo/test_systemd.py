"""The units in deploy/systemd, as far as they can be judged without systemd as the first process."""

import configparser
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from workers import serve
from workers.crew import GRACE

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy" / "systemd"
#: Each unit, with an instance where it is a template.
UNITS = {
    "avant-worker@.service": "avant-worker@8.service",
    "avant-clock.service": "avant-clock.service",
    "avant-metrics.service": "avant-metrics.service",
    "avant-ingest@.service": "avant-ingest@-srv-deliveries.service",
}
#: Of 100: what systemd calls exposure. An unhardened service has 96.
EXPOSED = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units as installed, but that what they start is there."""
    if not shutil.which("systemd-analyze"):
        if os.environ.get("CI"):
            pytest.fail("systemd is not installed")
        pytest.skip("systemd is not installed")
    made = tmp_path_factory.mktemp("units")
    for name, instance in UNITS.items():
        text = (DEPLOY / name).read_text()
        (made / instance).write_text(re.sub(r"/opt/avant/\.venv/bin/\S+", "/bin/true", text))
    return made


def analysed(*words: str | Path) -> subprocess.CompletedProcess[str]:
    argv = ["systemd-analyze", "--no-pager", *map(str, words)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)


def read(name: str) -> configparser.SectionProxy:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's keys have capitals
    unit.read(DEPLOY / name)
    return unit["Service"]


def test_every_unit_is_tested() -> None:
    assert {path.name for path in DEPLOY.glob("*.service")} == set(UNITS)


@pytest.mark.parametrize("instance", UNITS.values())
def test_systemd_understands_every_line(instance: str, folder: Path) -> None:
    """`verify` also ends well when it ignored a key: it must have nothing to say."""
    judged = analysed("verify", "--man=no", "--recursive-errors=no", folder / instance)
    assert (judged.returncode, judged.stdout, judged.stderr) == (0, "", "")


def test_a_mistake_in_a_unit_would_be_seen(folder: Path) -> None:
    bad = folder / "bad.service"
    bad.write_text("[Service]\nExecStart=/bin/true\nNoNewPriviliges=yes\n")
    assert "NoNewPriviliges" in analysed("verify", "--man=no", bad).stderr


@pytest.mark.parametrize("instance", UNITS.values())
def test_every_unit_is_hardened(instance: str, folder: Path) -> None:
    """They open strangers' films."""
    judged = analysed("security", "--offline=true", f"--threshold={EXPOSED}", folder / instance)
    assert judged.returncode == 0, judged.stdout


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_starts_a_program_that_we_have(name: str) -> None:
    """Its arguments are each command's own matter."""
    program = Path(read(name)["ExecStart"].split()[0])
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert (str(program.parent), program.name in scripts) == ("/opt/avant/.venv/bin", True)


def test_workers_have_time_to_finish_and_to_give_the_rest_back() -> None:
    """systemd kills no sooner than the supervisor would."""
    assert float(read("avant-worker@.service")["TimeoutStopSec"]) > serve.GRACE + 2 * GRACE


def test_users_and_folders_are_as_they_say(tmp_path: Path) -> None:
    """Made in a folder that stands for the host: credentials are root's alone, deliveries their senders' group's."""
    if not shutil.which("systemd-sysusers") or os.geteuid():
        pytest.skip("takes root, and systemd")
    (tmp_path / "etc").mkdir()
    for kind, argv in (("sysusers", ["systemd-sysusers"]), ("tmpfiles", ["systemd-tmpfiles", "--create"])):
        installed = tmp_path / "usr" / "lib" / f"{kind}.d" / "avant.conf"
        installed.parent.mkdir(parents=True)
        shutil.copy(DEPLOY / f"{kind}.conf", installed)
        subprocess.run([*argv, f"--root={tmp_path}"], check=True, capture_output=True, timeout=60)
    made = {
        path: oct((tmp_path / path).stat().st_mode & 0o7777)
        for path in ("etc/avant/credentials", "etc/avant/clock-credentials", "srv/deliveries")
    }
    assert made == {
        "etc/avant/credentials": "0o700",
        "etc/avant/clock-credentials": "0o700",
        "srv/deliveries": "0o2775",
    }


def test_credentials_are_settings(tmp_path: Path) -> None:
    """As systemd hands them over: a file for each, `LoadCredential=avant:` before its name; a variable goes before."""
    (tmp_path / "avant_s3_secret_key").write_text("from a file\n")
    (tmp_path / "avant_naming_key").write_text("from a file\n")
    program = (
        "from workers.settings import Settings; s = Settings();"
        "print(s.s3_secret_key.get_secret_value(), '|', s.naming_key.get_secret_value())"
    )
    environment = {**os.environ, "CREDENTIALS_DIRECTORY": str(tmp_path), "AVANT_NAMING_KEY": "from a variable"}
    told = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "from a file | from a variable"
