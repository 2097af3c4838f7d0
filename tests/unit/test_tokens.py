"""What opens media at an edge."""

from datetime import UTC, datetime

from pipelines.tokens import Tokens

UNTIL = datetime(2026, 10, 25, 3, 0, 0, 900_000, tzinfo=UTC)
TOKENS = Tokens(key="a-key-of-sixteen-letters")


def test_a_token_is_what_edges_compute() -> None:
    """`printf s01e01~1792897200 | openssl dgst -sha256 -hmac a-key-of-sixteen-letters`, its first half."""
    assert TOKENS.prefix("s01e01", UNTIL) == "k/s01e01~1792897200~02e102cb727135f93579a6127b04c589/"


def test_a_token_opens_nothing_else() -> None:
    """Another episode, instant or key has another MAC; and the key is in no representation."""
    other = Tokens(key="a-key-of-sixteen-lettert")
    later = UNTIL.replace(second=1)
    tokens = [TOKENS.token("a", UNTIL), TOKENS.token("b", UNTIL), TOKENS.token("a", later), other.token("a", UNTIL)]
    assert len({token.rpartition("~")[2] for token in tokens}) == 4
    assert TOKENS.key not in repr(TOKENS)
