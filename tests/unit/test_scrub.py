"""What logs and reports never hold, and what they keep."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from workers.observability.scrub import DEEPEST, LONGEST, Scrubber, scrubber
from workers.settings import Settings

SETTINGS = Settings(
    ledger_url="postgresql://avant:tr%40pdoor@db.example.net/avant",
    broker_url="rediss://:open-sesame@broker.example.net:6380/0",
    s3_secret_key=SecretStr("wJalrXUtnFEMI/K7MDENG"),
    naming_key=SecretStr("a long random text"),
    sentry_dsn=SecretStr("https://0123456789abcdef@sentry.example.net/4"),
)


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("postgresql://avant:tr%40pdoor@db/avant is down", "postgresql://***@db/avant is down"),
        ("the password is tr@pdoor", "the password is ***"),
        ("tr%40pdoor", "***"),
        ("open-sesame", "***"),
        ("key wJalrXUtnFEMI/K7MDENG.", "key ***."),
        ("wJalrXUtnFEMI%2FK7MDENG", "***"),
        ("named with a long random text", "named with ***"),
        ("POST https://0123456789abcdef@sentry.example.net/4", "POST ***"),
        ("0123456789abcdef", "***"),
    ],
)
def test_the_secrets_of_our_settings_are_taken_out(said: str, left: str) -> None:
    """Wherever they turn up, and however they are spelt."""
    assert scrubber(SETTINGS).text(said) == left


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("redis://:pw@h:6379/0", "redis://***@h:6379/0"),
        ("https://ann:p@ss@cdn.example.net/a.mov", "https://***@cdn.example.net/a.mov"),
        (
            "GET https://b.s3.amazonaws.com/s01e01.mov?X-Amz-Signature=0a1b&X-Amz-Expires=60 failed",
            "GET https://b.s3.amazonaws.com/s01e01.mov?*** failed",
        ),
        ("'http://127.0.0.1:40123/uW_x-9': 404", "'<source>': 404"),
        ("https://edge.example.net/k/9f8e7d/t/abc/init.mp4", "https://edge.example.net/k/***/t/abc/init.mp4"),
        ("Authorization: AWS4-HMAC-SHA256 Credential=AKIA…", "Authorization: ***"),
        ("host=db password=hunter2 user=ann", "host=db password=*** user=ann"),
        ('{"secret_key": "hunter 2", "a": 1}', '{"secret_key": ***, "a": 1}'),
        ("AKIAIOSFODNN7EXAMPLE is unknown", "*** is unknown"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\n.", "***\n."),
    ],
)
def test_what_looks_like_a_secret_is_taken_out(said: str, left: str) -> None:
    assert Scrubber().text(said) == left


@pytest.mark.parametrize(
    "said",
    [
        "/srv/deliveries/s01e01/s01e01.mov: Invalid data found when processing input",
        "s3://deliveries/s01e01.mov changed while it was read.",
        "ffmpeg failed with exit status 1: moov atom not found.",
        "password authentication failed for user avant",
        "Größe 日本語\tand\nlines",
    ],
)
def test_what_helps_is_kept(said: str) -> None:
    assert scrubber(SETTINGS).text(said) == said


def test_values_are_scrubbed_at_every_depth() -> None:
    """Keys that say what they hold are believed; whatever comes out is JSON, and not endless."""
    deep: list[object] = ["open-sesame"]
    for _ in range(DEEPEST + 5):
        deep = [deep]
    value = {"a": [{"b": ("open-sesame", 1, None)}], "db_password": 7, "sizes": {1.5, float("nan")}, "deep": deep}
    told = json.dumps(scrubber(SETTINGS).value(value), allow_nan=False)
    assert "open-sesame" not in told
    assert json.loads(told)["db_password"] == "***"
    assert json.loads(told)["a"] == [{"b": ["***", 1, None]}]
    assert len(Scrubber().text("x" * 10 * LONGEST)) < LONGEST + 100


@given(st.text(st.characters()))
def test_any_text_can_be_written_and_steers_no_terminal(text: str) -> None:
    """Names of files may hold bytes that are no UTF-8, and messages what a hostile film says."""
    written = Scrubber().text(text).encode()
    assert all(byte in b"\t\n" or byte >= 0x20 for byte in written)


@pytest.mark.parametrize(
    "piece", ["x", "http://", "a://b", "password", "-----BEGIN PRIVATE KEY-----", "secret=", "?", "@"]
)
def test_no_text_takes_long(piece: str) -> None:
    """Whoever makes a film chooses some of the words that tools say about it."""
    began = time.process_time()
    Scrubber(["open-sesame"]).text(piece * 100_000)
    assert time.process_time() - began < 0.5


def test_short_secrets_do_not_eat_the_text() -> None:
    """A password of two letters is taken out of addresses, not of words."""
    short = scrubber(Settings(broker_url="redis://:in@h/0"))
    assert short.text("redis://:in@h/0 in vain") == "redis://***@h/0 in vain"
