import traceback
from pathlib import Path

import pytest

from pipelines.delivery import Delivery, open_delivery
from pipelines.errors import DeliveryError

FULL = """
episode = "s01e01"
title = "Pilot"
preset = "quick"
original_language = "en"
in = "10:00:00:00"
out = "10:42:00:00"

[mezzanine]
file = "m.mov"
start = "09:59:50:00"

[[audio]]
language = "en"
role = "original"
track = 1

[[audio]]
language = "pt-br"
file = "s3://deliveries/s01e01/pt.wav"
start = "10:00:00:00"

[[text]]
language = "fr"
kind = "sdh"
file = "/mnt/text/fr.srt"

[[chapters]]
kind = "intro"
from = "10:00:30:00"
to = "10:01:10:00"

[release]
at = "2026-11-29T03:00"
zone = "Europe/Paris"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "episode.toml"
    path.write_text(text)
    return path


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(DeliveryError) as refused:
        open_delivery(written(folder, text))
    return refused.value.message


def test_a_delivery_is_read_with_its_paths_made_absolute(tmp_path: Path) -> None:
    """Relative paths are relative to the document, wherever the reader stands; others stay as they are."""
    delivery = open_delivery(written(tmp_path, FULL))
    assert delivery.mezzanine.file == str(tmp_path / "m.mov")
    assert [audio.file for audio in delivery.audio] == [None, "s3://deliveries/s01e01/pt.wav"]
    assert delivery.text[0].file == "/mnt/text/fr.srt"
    assert (delivery.programme_in, delivery.programme_out) == ("10:00:00:00", "10:42:00:00")
    assert (delivery.chapters[0].start, delivery.chapters[0].end) == ("10:00:30:00", "10:01:10:00")


def test_language_tags_are_standardised(tmp_path: Path) -> None:
    """`pt-br` and `pt-BR` are one language."""
    assert open_delivery(written(tmp_path, FULL)).audio[1].language == "pt-BR"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('language = "pt-br"', 'language = "portuguese"', "`portuguese` is not a language tag"),
        ('language = "pt-br"', 'language = "jp"', "`jp` is not a language tag"),
        ('language = "pt-br"', 'language = ""', "`` is not a language tag"),
        ('language = "pt-br"', 'language = "en"\nrole = "original"', "audio `en` (original) is declared twice"),
        ('role = "original"', 'role = "dub"', "no audio has language `en` and role `original`"),
        ('"m.mov"', '"https://example.com/m.mov"', "is neither a path nor s3://bucket/key"),
        ('"m.mov"', '"file:///etc/passwd"', "is neither a path nor s3://bucket/key"),
        ('"m.mov"', '"s3://key:word@bucket/m.mov"', "an address with an @ is neither a path nor s3://bucket/key"),
        ('"m.mov"', '"s3://bucket"', "is neither a path nor s3://bucket/key"),
        ('"m.mov"', '""', "an empty or broken path"),
        ('"m.mov"', '"m\\u0000.mov"', "an empty or broken path"),
        ('"10:00:00:00"\nout', '"10:00"\nout', "`10:00` is not a time code"),
        ('"10:00:00:00"\nout', '"10:61:00:00"\nout', "`10:61:00:00` is not a time code"),
        ('"s01e01"', '"../s01e01"', "`episode`"),
        ('"s01e01"', '"s01/e01"', "`episode`"),
        ("track = 1", "track = 0", "`audio[1].track`"),
        ('"2026-11-29T03:00"', '"tomorrow"', "`release.at`"),
    ],
)
def test_what_makes_no_sense_is_refused_at_the_door(old: str, new: str, sentence: str, tmp_path: Path) -> None:
    """One sentence that names the place, before any media is opened."""
    assert old in FULL
    message = refusal(tmp_path, FULL.replace(old, new, 1))
    assert sentence in message
    assert "\n" not in message


def test_a_document_that_is_not_there_is_said(tmp_path: Path) -> None:
    """With its path and the system's reason."""
    with pytest.raises(DeliveryError) as refused:
        open_delivery(tmp_path / "episode.toml")
    assert refused.value.message == f"{tmp_path}/episode.toml can't be read: No such file or directory."


def test_a_binary_document_is_said(tmp_path: Path) -> None:
    """Someone will send the film in its place."""
    path = tmp_path / "episode.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DeliveryError) as refused:
        open_delivery(path)
    assert refused.value.message == f"{path} is not UTF-8 text."


@pytest.mark.parametrize(
    "address", ["s3://me:hunter2@bucket/m.mov", "s3://me:a/hunter2@bucket/m", "ftp://x:hunter2@y/"]
)
def test_a_secret_in_an_address_is_not_repeated(address: str, tmp_path: Path) -> None:
    """A mistake with credentials must not put them into a log, nor their traceback."""
    with pytest.raises(DeliveryError) as refused:
        open_delivery(written(tmp_path, FULL.replace('"m.mov"', f'"{address}"')))
    assert "hunter2" not in "".join(traceback.format_exception(refused.value))


def test_a_name_that_ffmpeg_would_take_for_a_protocol_is_a_file(tmp_path: Path) -> None:
    """Paths are made absolute, so `concat:` and the like can only be names."""
    delivery = open_delivery(written(tmp_path, FULL.replace('"m.mov"', '"concat:a|b"')))
    assert delivery.mezzanine.file == f"{tmp_path}/concat:a|b"


def test_a_delivery_survives_the_wire(tmp_path: Path) -> None:
    """The ledger keeps it as JSON."""
    delivery = open_delivery(written(tmp_path, FULL))
    assert Delivery.model_validate_json(delivery.model_dump_json()) == delivery
    assert Delivery.model_validate_json(delivery.model_dump_json(by_alias=True)) == delivery
