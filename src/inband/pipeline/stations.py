"""What ``places`` keeps, is told and says: values, and what it is told while nothing is known."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from inband.flow.ports import PortNo
from inband.packet.frame import Frame
from inband.vocabulary.addresses import AddressKey, Mac
from inband.vocabulary.instant import Instant

Held = tuple[PortNo, Frame]
"""A frame that is not believed, and where it came in."""


class Claim(NamedTuple):
    """What a message of ARP or neighbour discovery says of its sender.

    ``mac`` is 0 where it says none; ``to``: the MAC address that it is sent to; ``is_answer``: it answers a question.
    """

    address: AddressKey
    mac: int
    to: int
    is_answer: bool


class Question(NamedTuple):
    """Ask for this address at this MAC address alone; ``tells``: have the switches behind this one ask, too.

    ``is_known``: a link died a moment ago, which this may be about, and other switches know that from their neighbours.
    """

    address: AddressKey
    mac: Mac
    tells: bool = False
    is_known: bool = False


class Lapse(NamedTuple):
    """A place is not proven any more: ask everybody.

    ``held`` is the last ARP or ND that contradicted it, to be looked at again.
    """

    address: AddressKey
    held: Held | None


@dataclass(slots=True, eq=False)
class Doubt:
    """A question under way: when to ask, and when to give up.

    ``is_soon``: it began because a link died. ``is_answered``: meanwhile ``held`` has answered by another port.
    """

    ask_at: Instant
    ends_at: Instant
    held: Held | None = None
    is_told: bool = False
    is_soon: bool = False
    is_answered: bool = False


@dataclass(slots=True, eq=False)
class Station:
    """A next hop whose place was proven at ``since``, when the last doubt began, and since when the engine insists.

    ``is_failing``: no channel through it works. ``is_peer``: it is a switch behind this one, which was met.
    ``has_word``: its place is what neighbours say. ``moved_at``: since when it is where it is.
    """

    address: AddressKey
    mac: Mac
    since: Instant
    is_peer: bool = False
    is_failing: bool = False
    has_word: bool = False
    moved_at: Instant = float("-inf")
    doubted_at: Instant = float("-inf")
    insisting_since: Instant = float("-inf")
    insisted_at: Instant = float("-inf")


def is_peer(station: Station) -> bool:
    """Whether it is a switch behind this one."""
    return station.is_peer


def no_next_hop(_: AddressKey) -> AddressKey | None:
    """Nothing is known of next hops."""
    return None


def no_next_hops(_: AddressKey) -> Collection[AddressKey]:
    """Likewise."""
    return ()
