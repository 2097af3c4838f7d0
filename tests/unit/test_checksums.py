"""A delivery may say which bytes were meant."""

import hashlib
from pathlib import Path

import pytest

from pipelines.delivery import Delivery, open_delivery
from tests.unit.test_delivery import FULL, refusal, written

SUM = hashlib.sha256(b"film").hexdigest()


def test_a_checksum_is_sixty_four_hexadecimal_digits_in_any_case(tmp_path: Path) -> None:
    text = FULL.replace('file = "m.mov"', f'file = "m.mov"\nsha256 = "{SUM.upper()}"')
    assert open_delivery(written(tmp_path, text)).mezzanine.sha256 == SUM
    assert "`mezzanine.sha256`" in refusal(tmp_path, text.replace(SUM.upper(), SUM[1:]))


def test_a_checksum_needs_a_file(tmp_path: Path) -> None:
    """Beside a track of the mezzanine it would say nothing."""
    text = FULL.replace("track = 1", f'track = 1\nsha256 = "{SUM}"')
    assert "`sha256` stands without a `file`" in refusal(tmp_path, text)


def test_a_document_that_is_nested_too_deeply_is_said(tmp_path: Path) -> None:
    """Instead of ending whoever reads it."""
    message = refusal(tmp_path, f"a = {'[' * 100_000}")
    assert message == f"{tmp_path}/episode.toml is nested too deeply to be a document."


@pytest.mark.parametrize("place", ["/moved/{}", "s3://bucket/e/{}"])
def test_every_file_of_a_delivery_can_be_placed(place: str, tmp_path: Path) -> None:
    delivery = open_delivery(written(tmp_path, FULL))
    files = [source.file for source in delivery.sources if source.file]
    moved: Delivery = delivery.placed(place.format)
    assert [source.file for source in moved.sources if source.file] == [place.format(file) for file in files]
