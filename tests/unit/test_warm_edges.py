"""The document of edges, read at the door."""

import pytest

from pipelines.warm import Edge, Edges
from presets.document import DocumentError, parse

OLD = """
[[edges]]
name = "paris-1"
kind = "nginx"
url = "https://paris-1.example.net"
"""
FULL = """
[total]
bits_per_second = 2_000_000_000

[[edges]]
name = "cdg"
kind = "cloudfront"
url = "https://media.example.net"
address = "192.0.2.7:443"
pop = "CDG"
shield = "fra"
region = "FR"
audience = 0.6
sample = 0.1
tokens = "/etc/avant/tokens"
capacity = { bits_per_second = 500_000_000, requests_per_second = 100, daily_bytes = 1_000_000_000, connections = 4 }

[[edges]]
name = "fra"
role = "shield"
url = "https://shield.example.net"
address = "[2001:db8::1]:8443"
"""


def refusal(text: str) -> DocumentError:
    with pytest.raises(DocumentError) as refused:
        parse(Edges, text, name="edges.toml")
    return refused.value


def test_a_list_of_names_and_addresses_is_still_enough() -> None:
    """What was written before edges had capacities reads as it did."""
    (edge,) = parse(Edges, OLD, name="edges.toml").listed
    assert edge == Edge(name="paris-1", kind="nginx", url="https://paris-1.example.net")
    assert (edge.role, edge.capacity.connections, edge.total) == ("pop", 8, None)


def test_shields_come_first_and_each_edge_knows_the_total() -> None:
    """In the order in which they are to be warmed."""
    shield, pop = parse(Edges, FULL, name="edges.toml").listed
    assert (shield.name, pop.name, pop.shield) == ("fra", "cdg", "fra")
    assert shield.total is not None
    assert shield.total == pop.total
    assert pop.capacity.bits_per_second == 500_000_000


def test_what_an_edge_may_be_asked_is_no_part_of_what_is_proved() -> None:
    """A larger quota makes no cache cold."""
    one = parse(Edges, FULL, name="edges.toml").listed[1]
    two = parse(Edges, FULL.replace("daily_bytes = 1_000", "daily_bytes = 9_000"), name="edges.toml").listed[1]
    other = parse(Edges, FULL.replace("192.0.2.7", "192.0.2.8"), name="edges.toml").listed[1]
    assert one.identity == two.identity != other.identity


@pytest.mark.parametrize(
    ("wrong", "right", "sentence", "hint"),
    [
        ("adress =", "address =", "`edges[1].adress` is not a key of this document.", "Did you mean `address`?"),
        ("daily_byte =", "daily_bytes =", "`edges[1].capacity.daily_byte` is not a key", "Did you mean `daily_bytes`?"),
        ('shield = "frq"', 'shield = "fra"', "did you mean `fra`", "Correct"),
        ('name = "cdg"\nrole = "shield"', 'name = "cdg"', "can't stand behind another", "Correct"),
        ('name = "cdg"', 'name = "fra"', "two edges are called `cdg`", "Correct"),
        ('token_key = "key"\ntokens =', "tokens =", "`cdg` has both `token_key` and `tokens`", "Correct"),
        ('"192.0.2.7"', '"192.0.2.7:443"', "`edges[1].address`", "Correct"),
        ('"https://user:secret@media"', '"https://media.example.net"', "`edges[1].url`", "Correct"),
    ],
)
def test_a_mistake_is_named_with_what_was_meant(wrong: str, right: str, sentence: str, hint: str) -> None:
    """Its place as people count, the nearest name, and never the value, which may hold a secret."""
    error = refusal(FULL.replace(right, wrong, 1))
    assert sentence in error.sentence
    assert hint in error.hint
    assert "secret@" not in error.sentence + error.hint
