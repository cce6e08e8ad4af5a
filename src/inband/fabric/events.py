"""What a bridge's fabric is told (events, past participles) and what it wants done (commands, imperatives).

Commands are carried out at once and in their order, before the next event.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from inband.fabric.description import ControlWay
from inband.fabric.distances import Station
from inband.fabric.keys import NetworkKeys
from inband.fabric.need import Need
from inband.flow.ports import PortNo
from inband.vocabulary.addresses import IpAddress, Mac


class LinkState(StrEnum):
    """What is known of a neighbour on a port."""

    UNKNOWN = "unknown"
    """None was heard."""
    HEARD = "heard"
    """One is heard, and does not say that it hears this switch."""
    TWO_WAY = "two-way"
    """Each hears the other."""
    LOST = "lost"
    """It was two-way, and nothing is heard any more."""


@dataclass(frozen=True, slots=True)
class PortChanged:
    """A port is there, with its link up or down; frames leave with its MAC address."""

    port: PortNo
    link_up: bool
    mac: Mac


@dataclass(frozen=True, slots=True)
class PortRemoved:
    """A port is there no more."""

    port: PortNo


@dataclass(frozen=True, slots=True)
class FrameReceived:
    """A frame of the neighbours' kind came in, Ethernet header and all."""

    port: PortNo
    data: bytes


@dataclass(frozen=True, slots=True)
class ControlPortsChanged:
    """Control traffic leaves by these ports: a next hop was last heard there. By ``quiet`` ones little passes."""

    ports: frozenset[PortNo]
    quiet: frozenset[PortNo] = frozenset()


@dataclass(frozen=True, slots=True)
class LocalChanged:
    """LOCAL has this MAC address and these addresses, which neighbours are told."""

    mac: Mac | None
    addresses: tuple[IpAddress, ...]


@dataclass(frozen=True, slots=True)
class KeysChanged:
    """Messages are signed with these keys from now on; None: not at all."""

    keys: NetworkKeys | None


@dataclass(frozen=True, slots=True)
class NeedsChanged:
    """This switch needs these by itself, the most important first; neighbours hear of them."""

    needs: tuple[Need, ...]


@dataclass(frozen=True, slots=True)
class StationsProven:
    """These next hops have proven themselves here, behind ports without neighbours."""

    stations: frozenset[Station]


@dataclass(frozen=True, slots=True)
class ControlDescribed:
    """What the map says of this switch beside its neighbours: its name, and its ways to its controllers."""

    name: str
    ways: tuple[ControlWay, ...]


@dataclass(frozen=True, slots=True)
class TimePassed:
    """The instant that ``next_deadline`` named has come (or may have)."""


Event = (
    PortChanged
    | PortRemoved
    | FrameReceived
    | ControlPortsChanged
    | LocalChanged
    | KeysChanged
    | StationsProven
    | NeedsChanged
    | ControlDescribed
    | TimePassed
)


@dataclass(frozen=True, slots=True)
class Send:
    """Send a frame out of a port, whatever the port's configuration."""

    port: PortNo
    data: bytes


@dataclass(frozen=True, slots=True)
class ForgetPlaces:
    """Forget who was heard on this port: no frame is sent there any more because of that."""

    port: PortNo


@dataclass(frozen=True, slots=True)
class FollowPaths:
    """Neighbours' words of these stations are other ones: ``Fabric.ways`` has them."""

    stations: tuple[Station, ...]


@dataclass(frozen=True, slots=True)
class FollowNeeds:
    """What neighbours need is something else: ``Fabric.needs`` has it."""


@dataclass(frozen=True, slots=True)
class DoubtPlaces:
    """Somewhere a link died: a station that is heard on another port from now on may have moved there."""


@dataclass(frozen=True, slots=True)
class AskNextHops:
    """Ask for the next hops of control traffic: all, or, if it is not the first time, those that have not answered."""

    is_first: bool


@dataclass(frozen=True, slots=True)
class TellNeighbour:
    """A neighbour, by its datapath id, is there both ways from now on, or is not any more, for a reason in words."""

    port: PortNo
    switch: int
    is_there: bool
    reason: str


@dataclass(frozen=True, slots=True)
class TellRefused:
    """Messages on a port do not count, for a reason in words; once for each reason while its link is up."""

    port: PortNo
    reason: str


Command = Send | ForgetPlaces | FollowPaths | FollowNeeds | DoubtPlaces | AskNextHops | TellNeighbour | TellRefused
