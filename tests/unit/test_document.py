import pytest

from pipelines.delivery import Delivery
from presets import catalogue
from presets.document import DocumentError, nearest, parse
from presets.preset import Preset

GOOD = """
episode = "s01e01"
title = "Pilot"
preset = "quick"
original_language = "en"
[mezzanine]
file = "m.mov"
[[audio]]
language = "en"
role = "original"
"""


def refusal(text: str) -> DocumentError:
    with pytest.raises(DocumentError) as refused:
        parse(Delivery, text, name="episode.toml")
    return refused.value


@pytest.mark.parametrize(
    ("wrong", "right", "sentence", "hint"),
    [
        ("titel", "title", "`titel` is not a key of this document.", "Did you mean `title`?"),
        ("fiel", "file", "`mezzanine.fiel` is not a key of this document.", "Did you mean `file`?"),
        ("rolle", "role", "`audio[1].rolle` is not a key of this document.", "Did you mean `role`?"),
    ],
)
def test_a_mistyped_key_is_named_with_the_one_that_was_meant(wrong: str, right: str, sentence: str, hint: str) -> None:
    """Its place is given as people count, and the nearest key there is offered."""
    error = refusal(GOOD.replace(f"{right} =", f"{wrong} ="))
    assert error.sentence == f"episode.toml: {sentence}"
    assert error.hint == hint


def test_the_keys_in_and_out_are_offered_by_their_document_names() -> None:
    """TOML says `in`; Python can't. The hint speaks TOML."""
    error = refusal(GOOD.replace("[mezzanine]", "zzzzzz = 1\n[mezzanine]"))
    assert "in, " in error.hint
    assert "programme_in" not in error.hint


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (GOOD.replace('title = "Pilot"', ""), "`title` is missing."),
        (GOOD + '[[audio]]\nrole = "dub"\n', "`audio[2].language` is missing."),
        (GOOD.replace('"quick"', "quick"), "is not TOML: "),
        (GOOD.replace('"original"', '"orignal"'), "`audio[1].role`: "),
    ],
)
def test_every_refusal_is_one_sentence(text: str, sentence: str) -> None:
    """No traceback, no list of faults: the first that matters."""
    error = refusal(text)
    assert sentence in error.sentence
    assert "\n" not in error.sentence
    assert error.sentence.endswith(".")
    assert error.hint


def test_norway_stays_a_language() -> None:
    """TOML was chosen because in YAML `no` is false."""
    text = GOOD.replace('"en"', '"no"')
    assert parse(Delivery, text, name="episode.toml").audio[0].language == "no"


def test_an_unknown_preset_is_refused_with_the_nearest() -> None:
    """A name that is nearly one gets it offered; one that is not gets the list."""
    with pytest.raises(DocumentError) as refused:
        catalogue.load("qick")
    assert (refused.value.sentence, refused.value.hint) == ("There is no preset `qick`.", "Did you mean `quick`?")
    with pytest.raises(DocumentError) as refused:
        catalogue.load("zzz")
    assert refused.value.hint.startswith("There are: avc-hd, ")


@pytest.mark.parametrize("name", catalogue.names())
def test_every_preset_of_the_library_loads(name: str) -> None:
    """Each is named after its file and holds what its model asks."""
    assert isinstance(catalogue.load(name), Preset)


def test_nothing_near_is_not_guessed() -> None:
    """A hint that is far from the word would mislead."""
    assert nearest("langauge", ["language", "role"]) == "language"
    assert nearest("zzz", ["language", "role"]) is None
