"""Levers as decisions: the next trim, the version to go back to; and nothing twice."""

import pytest

from pipelines.errors import ReleaseError
from pipelines.levers import Moved, capped, previous, restored, uncapped, withdrawn
from pipelines.trim import WHOLE, Trim

LANGUAGES = ("en", "fr", "pt-BR")


def test_a_language_is_withdrawn_and_restored() -> None:
    """Each leaves what is capped, and other languages, as they are."""
    trim = Trim(withdrawn=("fr",), max_height=720)
    both = withdrawn(trim, "en", LANGUAGES)
    assert both == Trim(withdrawn=("en", "fr"), max_height=720)
    assert restored(both, "en", LANGUAGES) == trim


def test_what_is_so_already_stays_the_same() -> None:
    """A command that was cut off is repeated without harm."""
    trim = Trim(withdrawn=("fr",), max_height=720)
    assert withdrawn(trim, "fr", LANGUAGES) == restored(trim, "en", LANGUAGES) == trim
    assert capped(trim, height=720, bitrate=None) == trim
    assert uncapped(WHOLE) == WHOLE


def test_a_language_that_another_version_had_is_restored() -> None:
    """It was withdrawn before a rollback to a version that has no sound in it."""
    assert restored(Trim(withdrawn=("de",)), "de", LANGUAGES) == WHOLE


@pytest.mark.parametrize(("language", "meant"), [("pt-br", "Did you mean `pt-BR`?"), ("xx", "")])
def test_a_language_that_is_not_there_is_named_with_those_that_are(language: str, meant: str) -> None:
    with pytest.raises(ReleaseError, match=f"no sound in `{language}`; there is `en`, `fr`, `pt-BR`") as refused:
        withdrawn(WHOLE, language, LANGUAGES)
    assert refused.value.hint == meant
    with pytest.raises(ReleaseError, match=f"`{language}` was not withdrawn; withdrawn is nothing"):
        restored(WHOLE, language, LANGUAGES)


def test_caps_of_both_kinds_hold_together_until_all_are_lifted() -> None:
    trim = capped(capped(WHOLE, height=720, bitrate=None), height=None, bitrate=3_500_000)
    assert trim == Trim(max_height=720, max_bitrate=3_500_000)
    assert uncapped(trim) == WHOLE


def moves(story: str) -> list[Moved]:
    """`ABb` is a flip to A, one to B, and a move back (small) to B."""
    return [Moved(version=each.upper(), back=each.islower()) for each in story]


@pytest.mark.parametrize(
    ("story", "current", "before"),
    [
        ("A", "A", None),
        ("AB", "B", "A"),
        ("ABB", "B", "A"),  # a lever moved the ref, and not the version
        ("ABC", "C", "B"),
        ("ABCb", "B", "A"),  # further back, not to what was just left
        ("ABCba", "A", None),
        ("ABaB", "B", "A"),  # released again after a rollback
        ("ABA", "A", "B"),
        ("ABACa", "A", "B"),
        ("A", "B", "A"),  # a move that a restored ledger has forgotten
        ("", "A", None),
    ],
)
def test_the_version_before_is_the_one_that_viewers_had(story: str, current: str, before: str | None) -> None:
    """And who has gone back goes further back."""
    assert previous(moves(story), current) == before


def test_a_version_that_the_ledger_has_forgotten_is_passed_over() -> None:
    assert previous([*moves("A"), Moved(version="", back=False), *moves("B")], "B") == "A"
