"""`avant doctor`, on a farm that is well, and on one where somebody made a mistake."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import make_url

from pipelines.tools.s3 import Store
from scripts.avant.doctor import examined
from tests.conftest import StoreService
from tests.fakes.careless_store import careless_store
from tests.fakes.farm import broker
from tests.fakes.logs import as_before
from tests.fakes.postgres import Postgres
from tests.fakes.spine import Avant, outside
from workers import services
from workers.broker import open_broker
from workers.checkup import Check
from workers.settings import Settings

#: In whatever must never be said.
SECRET = "open-sesame"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with broker(tmp_path_factory.mktemp("broker")) as url:
        yield url


@pytest.fixture
def farm(address: str, server: Postgres, store: Store, store_service: StoreService, tmp_path: Path) -> Settings:
    """Settings of a farm that has nothing wrong; all of it is somebody else's."""
    database = make_url(server.ledger()).database or ""
    own = Settings(
        home=tmp_path / "home", ledger_url=server.network(database), broker_url=address, naming_key=SecretStr("00" * 16)
    )
    return own.model_copy(update=outside(store_service, store.bucket))


def wrong(settings: Settings) -> list[Check]:
    """What fails; each is one sentence with something to do, and tells no secret."""
    with as_before():
        failing = [check for check in examined(settings) if check.verdict == "fail"]
    secrets = [value.get_secret_value() for value in vars(settings).values() if isinstance(value, SecretStr)]
    for check in failing:
        assert re.fullmatch(r"[^\n]+\.", check.found)
        assert check.hint
        assert not [secret for secret in (SECRET, *secrets) if secret in check.found + check.hint]
    return failing


def test_a_farm_that_is_well(farm: Settings) -> None:
    """Every part is named with its version; nothing fails, and the exit code says so. The tests' ledger is careless."""
    ran = Avant(settings=farm)("doctor", "--json")
    told = ran.told
    assert told["ok"]
    verdicts = {check["what"]: check["verdict"] for check in told["checks"]}
    assert verdicts == {
        **dict.fromkeys(("ffmpeg", "ffprobe", "packager", "MediaInfo"), "ok"),
        **dict.fromkeys(("ledger", "ledger schema", "broker", "object store", "store rights", "clocks"), "ok"),
        **dict.fromkeys(("ledger fsync", "ledger synchronous_commit", "ledger full_page_writes"), "warn"),
        "home folder": verdicts["home folder"],  # as much room as there is
    }
    found = {check["what"]: check["found"] for check in told["checks"]}
    assert re.match(r"postgresql \d+", found["ledger"])
    assert re.match(r"valkey \d+", found["broker"])
    assert "a clock's credential" in found["store rights"]


def elsewhere(url: str | None, **changed: Any) -> str:
    return make_url(url or "").set(**changed).render_as_string(hide_password=False)


MISTAKES: dict[str, tuple[Callable[[Settings, int], dict[str, Any]], str, str]] = {
    "a ledger's password": (
        lambda farm, _: {"ledger_url": elsewhere(farm.ledger_url, password=SECRET)},
        "ledger",
        "password authentication failed",
    ),
    "a ledger's database": (
        lambda farm, _: {"ledger_url": elsewhere(farm.ledger_url, database="nowhere")},
        "ledger",
        'database "nowhere" does not exist',
    ),
    "a ledger's port": (
        lambda farm, port: {"ledger_url": elsewhere(farm.ledger_url, port=port)},
        "ledger",
        "Connection refused",
    ),
    "a ledger's address": (
        lambda _farm, _port: {"ledger_url": f"postgres:avant:{SECRET}@db"},
        "ledger",
        "address can't be used",
    ),
    "a ledger's port that is no number": (
        lambda _farm, _port: {"ledger_url": f"postgresql://avant:{SECRET}@db:port/avant"},
        "ledger",
        "address can't be used",
    ),
    "a bucket": (
        lambda _farm, _port: {"s3_bucket": "no-such-bucket"},
        "object store",
        "has no bucket `no-such-bucket`",
    ),
    "a store's secret": (
        lambda _farm, _port: {"s3_secret_key": SecretStr(SECRET)},
        "object store",
        "refuses the credentials",
    ),
    "a store's name": (
        lambda _farm, _port: {"s3_access_key": "nobody"},
        "object store",
        "refuses the credentials",
    ),
    "a store's port": (
        lambda _farm, port: {"s3_endpoint": f"http://127.0.0.1:{port}"},
        "object store",
        "does not answer",
    ),
    "a broker's password": (
        lambda farm, _: {"broker_url": re.sub(":[^:@]*@", f":{SECRET}@", farm.broker_url or "")},
        "broker",
        "refuses our name or password",
    ),
    "a broker's port": (
        lambda _farm, port: {"broker_url": f"redis://:{SECRET}@127.0.0.1:{port}/0"},
        "broker",
        "does not answer: Error 111",
    ),
    "a broker's address": (
        lambda _farm, _port: {"broker_url": f"redis://:{SECRET}@h:port/0"},
        "broker",
        "address can't be used",
    ),
    "a home that is a file": (lambda farm, _: {"home": _file(farm)}, "home folder", "can't be written to"),
    "a home that nobody can write": (
        lambda _farm, _port: {"home": Path("/sys/kernel/avant")},
        "home folder",
        "can't be",
    ),
    "where reports go": (
        lambda _farm, _port: {"sentry_dsn": SecretStr(f"{SECRET}.example.net")},
        "settings",
        "AVANT_SENTRY_DSN is not an address",
    ),
    "a list of edges": (lambda _farm, _port: {"edges": Path("/no/such/edges.toml")}, "edges", "edges.toml"),
    "an edge's key": (lambda farm, _: {"edges": _keyless(farm)}, "edge paris", "/no/such/key can't be read"),
}


def _file(farm: Settings) -> Path:
    farm.home.parent.mkdir(exist_ok=True)
    farm.home.write_text("")
    return farm.home


def _keyless(farm: Settings) -> Path:
    path = farm.home.parent / "edges.toml"
    path.write_text('[[edges]]\nname = "paris"\nurl = "http://127.0.0.1:9"\ntoken_key = "/no/such/key"\n')
    return path


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence(mistake: str, farm: Settings, unused_port: int) -> None:
    """And only that part is blamed for it."""
    change, what, sentence = MISTAKES[mistake]
    (found,) = wrong(farm.model_copy(update=change(farm, unused_port)))
    assert found.what == what
    assert sentence in found.found


@pytest.mark.parametrize(
    ("setting", "value", "usual", "what"),
    [
        ("maxmemory-policy", "volatile-lru", "noeviction", "broker memory"),
        ("replicaof", "127.0.0.1 1", "no one", "broker"),
    ],
)
def test_a_broker_that_is_set_wrongly(farm: Settings, setting: str, value: str, usual: str, what: str) -> None:
    """It would throw queues away, or take no tickets."""
    client = open_broker(farm.broker_url or "").client
    order = ["CONFIG", "SET", setting] if setting.startswith("max") else [setting]
    client.execute_command(*order, *value.split())
    try:
        assert [check.what for check in wrong(farm)] == [what]
    finally:
        client.execute_command(*order, *usual.split())
        client.close()


def test_a_store_that_forgets_conditions(farm: Settings) -> None:
    with careless_store({"if-none-match"}) as endpoint:
        (found,) = wrong(farm.model_copy(update={"s3_endpoint": endpoint}))
    assert "does not honour If-None-Match" in found.found


def test_what_a_workers_credential_may_not_write(farm: Settings) -> None:
    """Entry points: that is as it should be, and said."""
    with careless_store((), refuses=("/e/",)) as endpoint, as_before():
        checks = list(examined(farm.model_copy(update={"s3_endpoint": endpoint})))
    (found,) = (check for check in checks if check.what == "store rights")
    assert (found.verdict, found.found) == ("ok", "may write all but entry points: a worker's credential")


def test_a_credential_that_may_not_write_tracks(farm: Settings) -> None:
    with careless_store((), refuses=("/e/", "/t/")) as endpoint:
        (found,) = wrong(farm.model_copy(update={"s3_endpoint": endpoint}))
    assert (found.what, found.found) == ("store rights", "may not write tracks, entry points.")


def test_a_role_that_may_only_read(farm: Settings, server: Postgres) -> None:
    """As it is when somebody forgot to grant."""
    url = make_url(farm.ledger_url or "")
    server.sql("DROP ROLE IF EXISTS reader")
    server.sql(f"CREATE ROLE reader LOGIN PASSWORD '{SECRET}'")
    server.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader", url.database or "")
    (found,) = wrong(
        farm.model_copy(update={"ledger_url": elsewhere(farm.ledger_url, username="reader", password=SECRET)})
    )
    assert (found.what, found.found.startswith("We lack ")) == ("ledger rights", True)
    server.sql("DROP OWNED BY reader", url.database or "")
    server.sql("DROP ROLE reader")


def test_a_ledger_of_another_version(farm: Settings, server: Postgres) -> None:
    database = make_url(farm.ledger_url or "").database or ""
    server.sql("UPDATE alembic_version SET version_num = '9999'", database)
    (found,) = wrong(farm)
    assert (found.what, found.found.partition(";")[0]) == ("ledger schema", "It has schema 9999")


def test_the_command_answers_in_sentences(farm: Settings) -> None:
    """No traceback, no secret, and an exit code; a setting that can't be read is an answer as well."""
    bad = farm.model_copy(update={"ledger_url": elsewhere(farm.ledger_url, password=SECRET)})
    ran = Avant(settings=bad)("doctor", "--json")
    assert ran.status == 78
    assert not json.loads(ran.out)["ok"]
    assert "Traceback" not in ran.err
    assert SECRET not in ran.out + ran.err
    ran = Avant(settings=farm.model_copy(update={"lease_seconds": 0}))("doctor")
    assert (ran.status, ran.err.startswith("error: AVANT_LEASE_SECONDS: ")) == (78, True)


def test_a_home_that_is_in_use_is_said(tmp_path: Path) -> None:
    """While `avant run` is at work there, its own services can't be started twice; the rest is examined."""
    settings = Settings(home=tmp_path / "home")
    with services.lock(settings.home):
        failing = wrong(settings)
    assert [check.what for check in failing] == ["own services"]
