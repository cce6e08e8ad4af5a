"""Values that are frozen for mypy only behave as frozen ones do."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from inband.flow.match import Match
from inband.openflow.messages import EchoRequest, Envelope
from inband.vocabulary.values import value


@value(frozen=True, slots=True)
class Quick:
    """As Frozen."""

    number: int
    text: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Frozen:
    """What Quick must behave like."""

    number: int
    text: str = field(default="", compare=False)


def test_they_compare_and_hash_by_what_they_say() -> None:
    assert Quick(1, "a") == Quick(1, "b")
    assert Quick(1) != Quick(2)
    assert hash(Quick(1, "a")) == hash(Frozen(1, "b"))
    assert {Match(1, 1): "here"}[Match(1, 1)] == "here"


def test_a_copy_with_another_attribute_leaves_the_first_as_it_was() -> None:
    first = Envelope(4, 1, EchoRequest(b"x"))

    second = replace(first, xid=2)

    assert (first.xid, second.xid, second.message) == (1, 2, EchoRequest(b"x"))


def test_they_have_no_other_attributes() -> None:
    assert Quick.__slots__ == Frozen.__slots__
    assert not hasattr(Quick(1), "__dict__")
