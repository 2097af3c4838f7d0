"""The ledger's schema, made and changed on a real SQLite file and a real PostgreSQL."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from pipelines.errors import ConfigurationError
from pipelines.trim import Trim
from pipelines.wire import to_data
from tests.fakes.farm import claim, claimed, made, plan, step
from tests.fakes.postgres import Postgres
from workers.ledger import Ledger, open_ledger
from workers.ledger.engine import open_engine
from workers.ledger.migrate import HEAD, MIGRATIONS, schema_of
from workers.ledger.schema import metadata
from workers.ledger.upkeep import inspect_ledger, upgrade_ledger

#: A version of Avant to come, which adds a column: what this one knows is still there.
NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{head}"


def upgrade() -> None:
    op.add_column("steps", sa.Column("priority", sa.Integer, server_default="0"))
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database with nothing in it."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    server: Postgres = request.getfixturevalue("server")
    return server.socket(server.empty())


@pytest.fixture
def engine(empty: str) -> Iterator[Engine]:
    one = open_engine(empty)
    yield one
    one.dispose()


@pytest.fixture
def ledger(empty: str) -> Iterator[Ledger]:
    one = open_ledger(empty)
    one.enrol("h", memory=1 << 30, slots=["heavy"])
    one.submit(plan("e", [step("a"), step("b")]), deadline=None)
    yield one
    one.close()


def migrated(engine: Engine, to: str, *more: Path) -> None:
    """Run migrations up to that one, with those in further folders."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(map(str, [MIGRATIONS / "versions", *more])))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, to)


def by_the_next_version(address: str, folder: Path) -> None:
    """Somebody upgrades the ledger with a newer version than ours."""
    (folder / "next").mkdir()
    (folder / "next" / "next.py").write_text(NEXT.format(head=HEAD))
    engine = open_engine(address)
    migrated(engine, "9999", folder / "next")
    engine.dispose()


def test_migrations_make_what_the_code_expects(engine: Engine) -> None:
    """Every table, column, type and index: the models and the migrations can't drift apart."""
    migrated(engine, "head")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert schema_of(connection) == HEAD


def test_the_code_knows_the_newest_migration() -> None:
    """Slots compare schemas without loading Alembic."""
    script = ScriptDirectory(str(MIGRATIONS))
    assert script.get_heads() == [HEAD]


def before_editions() -> dict[str, object]:
    """A plan as the ledger kept it then."""
    whole: dict[str, object] = to_data(plan("e", [step("a")]))
    del whole["editions"]
    track = {"digest": "t", "medium": "video", "label": "540p", "size": 1}
    return whole | {"version": "v", "verification": "c", "warmth": {"paris": "w"}, "tracks": [track]}


def test_an_upgrade_from_the_first_schema_keeps_what_is_there(empty: str, engine: Engine) -> None:
    """A ledger is years of memory: nothing in it may be lost to a new version."""
    migrated(engine, "0001")
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO episodes VALUES ('e', 'E', 'v', 12.5, 1.5)")
        connection.exec_driver_sql("INSERT INTO refs VALUES ('e', 3, 'v', 2.5)")
        plan = text("INSERT INTO plans VALUES ('e', 'v', :plan, 1.5)")
        connection.execute(plan, {"plan": json.dumps(before_editions())})
        connection.exec_driver_sql("""INSERT INTO releases VALUES ('e', 9, 'then', 'v', '["c", "w"]', 1.5)""")
    upgrade_ledger(empty)
    ledger = open_ledger(empty)
    assert [(one.episode, one.title) for one in ledger.episodes()] == [("e", "E")]
    assert (ledger.ref("e").generation, ledger.ref("e").trim) == (3, Trim())
    (release,) = ledger.armed()
    assert (release.version, release.editions[0].goals) == ("v", ("c", "w"))
    overview = ledger.overview("e")
    assert overview
    assert (overview.plan.version, overview.plan.goals, overview.plan.editions[0].tracks) == ("v", ("c", "w"), ("t",))
    ledger.close()


def test_several_that_find_an_empty_database_fill_it_once(server: Postgres) -> None:
    """A farm's hosts start at the same moment."""
    address = server.socket(server.empty())
    with ThreadPoolExecutor(4) as hosts:
        for ledger in hosts.map(open_ledger, [address] * 4):
            ledger.close()
    assert inspect_ledger(address).schema == HEAD


def test_a_worker_drains_on_a_schema_that_it_does_not_know(ledger: Ledger, empty: str, tmp_path: Path) -> None:
    """What it has, it finishes; it claims nothing more, and says why."""
    held = claimed(ledger)
    by_the_next_version(empty, tmp_path)
    assert ledger.renew(held.step.id, held.token, progress=0.5, lease_seconds=30)
    ledger.commit(held.step.id, held.token, made(held.step))
    with pytest.raises(ConfigurationError, match="schema 9999; this version of Avant knows schema"):
        claim(ledger)
    assert ledger.look().schema == "9999"


def test_a_ledger_of_a_newer_version_is_not_opened(ledger: Ledger, empty: str, tmp_path: Path) -> None:
    """Rather than misread; nor is it taken back."""
    by_the_next_version(empty, tmp_path)
    with pytest.raises(ConfigurationError, match="9999") as refused:
        open_ledger(empty)
    assert "Install the version" in refused.value.hint
    with pytest.raises(ConfigurationError, match="9999"):
        upgrade_ledger(empty)


def test_a_farms_older_ledger_is_upgraded_by_who_says_so(ledger: Ledger, empty: str) -> None:
    """Never by a worker that happens to start; only what one machine uses alone is upgraded when it is opened."""
    with ledger._write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    if empty.startswith("postgresql"):
        with pytest.raises(ConfigurationError, match="schema 0000") as refused:
            open_ledger(empty)
        assert "avant ledger upgrade" in refused.value.hint


def test_somebody_elses_database_is_left_alone(empty: str, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE episodes (id TEXT)")
    with pytest.raises(ConfigurationError, match="not of this product"):
        open_ledger(empty)


def test_the_command_tells_and_upgrades(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an operator types, once for the whole farm. The tests' server forgets, for speed, and that is said."""
    from scripts.avant.__main__ import app

    monkeypatch.setenv("AVANT_LEDGER_URL", server.socket(server.empty()))
    told = CliRunner().invoke(app, ["ledger", "status", "--json"])
    assert (json.loads(told.stdout)["schema"], json.loads(told.stdout)["ok"]) == (None, False)
    done = CliRunner().invoke(app, ["ledger", "upgrade", "--json"])
    found = json.loads(done.stdout)
    assert (found["schema"], found["ok"]) == (HEAD, True)
    assert found["server"].startswith("postgresql 1")
    assert found["off"] == ["fsync", "full_page_writes", "synchronous_commit"]
