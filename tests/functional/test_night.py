"""The levers as they are typed, on a real store and a real ledger: shown first, done in a second, told who did what."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pipelines import layout
from pipelines.availability import Availability, Territory
from pipelines.errors import AvantError, ConfigurationError, ReleaseError, StoreError
from pipelines.layout import Names
from pipelines.release import generation_of
from pipelines.tools.s3 import Store
from pipelines.trim import WHOLE, Trim
from scripts.avant.__main__ import app
from tests.conftest import StoreService
from tests.fakes import night, spine
from tests.fakes.night import EPISODE
from workers.clock import Clock
from workers.farm import Farm
from workers.ledger import By, open_ledger
from workers.settings import Settings

#: What the ledger does of it is promised of both kinds, in test_refs and test_recovery.
pytestmark = pytest.mark.parametrize("ledger_address", ["sqlite"], indirect=True)

NAMES = Names(key=b"the farm's naming key")
ANA = ("--yes", "--who", "ana")


@pytest.fixture
def farm(
    ledger_address: str, store: Store, store_service: StoreService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Farm]:
    """Viewers have the first version, and had none before it."""
    settings = Settings(home=tmp_path, ledger_url=ledger_address, naming_key=NAMES.key.decode())
    settings = settings.model_copy(update=spine.outside(store_service, store.bucket))
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    ledger = open_ledger(ledger_address)
    ledger.enrol("h", memory=1 << 40, slots=["heavy"])
    farm = Farm(settings=settings, store=store, names=NAMES, ledger=ledger)
    release(farm, "first")
    yield farm
    ledger.close()


def release(farm: Farm, version: str) -> str:
    """Make a version, and have a clock release it; its digest."""
    found = night.made(farm.ledger, NAMES, version).version
    Clock(farm).tick()
    assert farm.ledger.ref(EPISODE).version == found
    return found


def avant(*words: str) -> Result:
    return CliRunner().invoke(app, ["release", *words], catch_exceptions=False, env={"COLUMNS": "200"})


def told(*words: str) -> Any:
    ended = avant(*words, "--json")
    assert ended.exit_code == 0, ended.stderr
    return json.loads(ended.stdout)


def refused(*words: str) -> AvantError:
    with pytest.raises(AvantError) as error:
        avant(*words)
    return error.value


def served(store: Store) -> dict[str, Any]:
    """`release.json`; the other entry points are of the same generation."""
    bodies = {}
    for file in (layout.MULTIVARIANT_PLAYLIST, layout.MPD, layout.RELEASE):
        found = store.get(layout.entry_points(EPISODE) + file)
        assert found
        bodies[file] = found[0]
    assert len({generation_of(body) for body in bodies.values()}) == 1
    answer: dict[str, Any] = json.loads(bodies[layout.RELEASE])
    return answer


def test_a_lever_is_shown_before_it_is_pulled(farm: Farm) -> None:
    """A dry run changes nothing, in the ledger or the store, and shows exactly what the real thing does then."""
    before = served(farm.store), farm.ledger.acts(EPISODE)
    shown = told("withdraw", EPISODE, "en", "--dry-run")
    assert (served(farm.store), farm.ledger.acts(EPISODE)) == before
    done = told("withdraw", EPISODE, "en", *ANA, "--why", "wrong reel")
    assert shown == {**done, "dry_run": True, "seen_by": None}
    assert done["changes"] == ["- audio en", "default language fr, not en"]
    assert (done["before"]["audio"], done["after"]["audio"], done["after"]["default"]) == (["en", "fr"], ["fr"], "fr")
    assert served(farm.store)["languages"]["audio"] == ["fr"]
    assert served(farm.store)["generation"] == done["after"]["generation"] == 2


def test_new_sessions_have_it_when_it_says(farm: Farm) -> None:
    """Entry points are written by the command itself; then edges keep the last ones for as long as their TTL."""
    now = farm.ledger.now()
    seen = datetime.fromisoformat(told("cap", EPISODE, "360p", *ANA)["seen_by"]) - now
    assert timedelta(seconds=layout.TTL) < seen < timedelta(seconds=layout.TTL + 1 + 10)
    found = farm.store.head(f"e/{EPISODE}/main.mpd")
    assert found
    assert f"max-age={layout.TTL}," in found.cache_control


def test_levers_add_up_and_are_undone_one_by_one(farm: Farm) -> None:
    """Each moves the ref on by one, and leaves the others as they are."""
    for words, trim in (
        (("cap", EPISODE, "360p"), Trim(max_height=360)),
        (("cap", EPISODE, "0.3M"), Trim(max_height=360, max_bitrate=300_000)),
        (("withdraw", EPISODE, "fr"), Trim(max_height=360, max_bitrate=300_000, withdrawn=("fr",))),
        (("uncap", EPISODE), Trim(withdrawn=("fr",))),
        (("restore", EPISODE, "fr"), WHOLE),
    ):
        told(*words, *ANA)
        assert farm.ledger.ref(EPISODE).trim == trim
    assert served(farm.store)["generation"] == farm.ledger.ref(EPISODE).generation == 6
    assert served(farm.store)["languages"] == {"audio": ["en", "fr"], "text": ["fr"]}


def test_what_is_so_already_is_said_and_written_again(farm: Farm) -> None:
    """The same command twice moves nothing twice."""
    told("withdraw", EPISODE, "fr", *ANA)
    again = told("withdraw", EPISODE, "fr", *ANA)
    assert again["changes"] == []
    assert again["before"]["generation"] == again["after"]["generation"] == farm.ledger.ref(EPISODE).generation == 2
    assert "so already" in avant("withdraw", EPISODE, "fr", *ANA).stderr


def test_a_cap_without_effect_says_so(farm: Farm) -> None:
    """It still holds for versions to come."""
    assert "Nothing changes for viewers now" in avant("cap", EPISODE, "1080p", *ANA).stdout
    release(farm, "second")
    assert farm.ledger.ref(EPISODE).trim == Trim(max_height=1080)


def test_a_rollback_gives_back_what_viewers_had(farm: Farm) -> None:
    """Less what was withdrawn since; and `arm` is the way forward again."""
    first = farm.ledger.ref(EPISODE).version
    second = release(farm, "second")
    told("withdraw", EPISODE, "fr", *ANA)
    done = told("rollback", EPISODE, *ANA, "--why", "the dub is out of sync")
    ref = farm.ledger.ref(EPISODE)
    assert (ref.version, ref.generation, ref.trim) == (first, 4, Trim(withdrawn=("fr",)))
    assert done["changes"][1:] == ["- rung 1080p (1.08 Mb/s)", "- audio de", "- text de subtitles"]
    assert served(farm.store)["version"] == NAMES.name(first or "")
    assert "had no version before" in refused("rollback", EPISODE, *ANA).message
    told("arm", EPISODE, *ANA)
    Clock(farm).tick()
    assert (farm.ledger.ref(EPISODE).version, served(farm.store)["generation"]) == (second, 5)


def test_a_rollback_knows_that_something_ended_between(farm: Farm) -> None:
    """An end is in the trail as a generation of its own, and is no version."""
    first = farm.ledger.ref(EPISODE).version
    release(farm, "second")
    over = Territory(code="FR", ends=farm.ledger.now())
    farm.ledger.agree(EPISODE, Availability(territories=(Territory(), over)))
    Clock(farm).tick()
    assert farm.ledger.ref(EPISODE).ended == ("FR",)
    told("rollback", EPISODE, *ANA)
    assert farm.ledger.ref(EPISODE).version == first


def test_a_rollback_holds_what_is_armed(farm: Farm) -> None:
    """And says so beforehand; `go` lets it go, through the gate."""
    release(farm, "second")
    armed = night.made(farm.ledger, NAMES, "third")
    assert told("rollback", EPISODE, "--dry-run")["holds"]
    told("rollback", EPISODE, *ANA)
    Clock(farm).tick()
    assert farm.ledger.ref(EPISODE).generation == 3
    gone = told("go", EPISODE, *ANA)
    assert (gone["generation"], gone["hindrance"]) == (4, "")
    assert served(farm.store)["version"] == NAMES.name(armed.version)


def test_go_overrides_neither_the_time_nor_a_check(farm: Farm) -> None:
    """It lifts the hold, and says what still stands in the way."""
    night.made(farm.ledger, NAMES, "second")
    assert told("hold", EPISODE, *ANA)["release"]["held"]
    told("arm", EPISODE, "--at", "2100-01-01 03:00", "--zone", "Europe/Paris", *ANA)
    (armed,) = farm.ledger.armed()
    assert (armed.wall, armed.held) == ("2100-01-01 03:00 Europe/Paris", True)
    assert "too early" in told("go", EPISODE, "--dry-run")["hindrance"]
    assert farm.ledger.armed() == (armed,)
    gone = told("go", EPISODE, *ANA)
    assert gone["generation"] is None
    assert "too early" in gone["hindrance"]
    assert [release.held for release in farm.ledger.armed()] == [False]
    assert farm.ledger.ref(EPISODE).generation == 1


def test_arming_shows_what_viewers_will_get_then(farm: Farm) -> None:
    """What is not made yet is said to be so; what viewers have already is not armed."""
    assert "have all" in refused("arm", EPISODE, *ANA).message
    night.made(farm.ledger, NAMES, "second")
    shown = told("arm", EPISODE, "--dry-run")
    assert (shown["before"]["audio"], shown["after"]["audio"]) == (["en", "fr"], ["en", "fr", "de"])
    assert "no `x`" in refused("arm", "x", *ANA).message.replace("episode ", "")


def test_nothing_happens_without_a_second_yes(farm: Farm) -> None:
    """Without a terminal there is nobody to ask."""
    night.made(farm.ledger, NAMES, "second")
    for words in (("withdraw", EPISODE, "fr"), ("hold", EPISODE), ("go", EPISODE), ("arm", EPISODE)):
        error = refused(*words)
        assert isinstance(error, ReleaseError)
        assert "Nobody is at a terminal" in error.message
        assert "--yes" in error.hint
    assert farm.ledger.ref(EPISODE).generation == 1
    assert [release.held for release in farm.ledger.armed()] == [False]


def test_the_second_of_two_operators_is_told_what_the_first_did(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both looked at the same moment; one pulled while the other thought about it."""
    seen = farm.ledger.ref(EPISODE)

    def meanwhile(*_: object, **__: object) -> bool:
        by = By(who="ben", action="cap", why="edges are full")
        assert farm.ledger.turn(seen, version=seen.version or "", trim=Trim(max_height=360), by=by)
        return True

    monkeypatch.setattr("scripts.avant.release.asking.Asked.confirm", meanwhile)
    error = refused("withdraw", EPISODE, "fr")
    assert "Nothing was changed" in error.message
    assert "ben did `cap`" in error.message
    assert "edges are full" in error.message
    assert farm.ledger.ref(EPISODE).trim == Trim(max_height=360)


def test_what_was_cut_off_is_ended_by_the_same_command(farm: Farm) -> None:
    """Decided, and not written: repeated, it is written, and a rollback does not go back twice."""
    first = farm.ledger.ref(EPISODE)
    second = release(farm, "second")
    night.made(farm.ledger, NAMES, "third")
    Clock(farm).tick()
    now = farm.ledger.ref(EPISODE)
    farm.ledger.turn(now, version=second, trim=WHOLE, by=By(who="ana", action="rollback"))
    shown = told("rollback", EPISODE, "--dry-run")
    assert (shown["action"], shown["generation"], served(farm.store)["generation"]) == ("finish", 4, 3)
    done = told("rollback", EPISODE, *ANA)
    assert (done["action"], done["generation"]) == ("finish", 4)
    assert "ana did `rollback`" in done["last"]
    assert served(farm.store)["version"] == NAMES.name(second)
    told("rollback", EPISODE, *ANA)
    assert farm.ledger.ref(EPISODE).version == first.version


def test_a_store_that_is_down_leaves_it_decided_and_says_so(
    farm: Farm, nowhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dry run needs no store; the real thing is ended by any clock."""
    monkeypatch.setenv("AVANT_S3_ENDPOINT", nowhere)
    assert told("cap", EPISODE, "360p", "--dry-run")["changes"]
    error = refused("cap", EPISODE, "360p", *ANA)
    assert isinstance(error, StoreError)
    assert "Generation 2 is decided" in error.message
    assert served(farm.store)["generation"] == 1
    Clock(farm).tick()
    assert served(farm.store)["generation"] == farm.ledger.ref(EPISODE).generation == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("withdraw", EPISODE, "frr"), "no sound in `frr`"),
        (("restore", EPISODE, "de"), "`de` was not withdrawn"),
        (("rollback", EPISODE), "no version before"),
        (("hold", EPISODE), "Nothing of `s01e01` is armed"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_what_can_not_be_done_is_said_at_once(farm: Farm, words: tuple[str, ...], said: str) -> None:
    """Also in a dry run."""
    for more in (("--dry-run",), ANA):
        assert said in refused(*words, *more).message
    assert len(farm.ledger.acts(EPISODE)) == 1


def test_the_last_sound_is_not_withdrawn(farm: Farm) -> None:
    told("withdraw", EPISODE, "en", *ANA)
    assert "no sound is left" in refused("withdraw", EPISODE, "fr", *ANA).message
    assert farm.ledger.ref(EPISODE).trim == Trim(withdrawn=("en",))


def test_an_episode_that_is_not_there_is_named_with_the_nearest(farm: Farm) -> None:
    error = refused("cap", "s01e02", "720p", *ANA)
    assert isinstance(error, ConfigurationError)
    assert (error.message, error.hint) == ("There is no episode `s01e02`.", f"Did you mean `{EPISODE}`?")


def test_another_farms_secret_is_found_out(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    """With it apps would be sent to a version that is not there."""
    monkeypatch.setenv("AVANT_NAMING_KEY", "of another farm")
    night.made(farm.ledger, NAMES, "second")
    for words in (("cap", EPISODE, "360p"), ("go", EPISODE)):
        assert "not the one" in refused(*words, *ANA).message
    assert farm.ledger.ref(EPISODE).generation == 1


@pytest.mark.parametrize("limit", ["720", "0p", "0M", "720.5p", "3.5G", "-3M", "p", "1e9k", "9999999p"])
def test_a_cap_that_says_neither_pixels_nor_bits_is_not_understood(farm: Farm, limit: str) -> None:
    assert avant("cap", EPISODE, "--yes", "--", limit).exit_code == 2
    assert farm.ledger.ref(EPISODE).generation == 1


def test_everything_is_told_in_the_log(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who, what, why, before and after; the last first."""
    monkeypatch.setenv("AVANT_OPERATOR", "on call")
    told("cap", EPISODE, "360p", "--yes", "--why", "edges are full")
    told("uncap", EPISODE, *ANA)
    acts = told("log", EPISODE)["acts"]
    assert [(act["by"]["who"], act["by"]["action"], act["by"]["why"], act["generation"]) for act in acts] == [
        ("ana", "uncap", "", 3),
        ("on call", "cap", "edges are full", 2),
        ("clock", "flip", "", 1),
    ]
    shown = avant("log", EPISODE).stdout
    assert "max height: 360" in shown
    assert NAMES.name(farm.ledger.ref(EPISODE).version or "") in shown  # as `avant versions` calls it
    assert len(told("log", EPISODE, "--last", "1")["acts"]) == 1
