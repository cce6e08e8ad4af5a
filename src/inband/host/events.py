"""What the kernel tells us, as values. Pure: no socket here.

``index`` is the kernel's interface index. An interface that vanishes and comes back has another one.
"""

from __future__ import annotations

from dataclasses import dataclass

from inband.vocabulary.addresses import IpAddress, IpNetwork, Mac


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """An interface is there, with these properties. ``up`` = administratively up, ``running`` = has carrier.

    ``master`` is the index of the interface that it is a member of, 0 for none; ``arps``: it asks for neighbours.
    """

    index: int
    name: str
    mac: Mac
    up: bool
    running: bool
    mtu: int
    master: int = 0
    arps: bool = True


@dataclass(frozen=True, slots=True)
class LinkRemoved:
    """An interface is gone."""

    index: int
    name: str


@dataclass(frozen=True, slots=True)
class AddressChanged:
    """An interface has an address (``present``) or lost it. ``tentative``: it cannot be used yet, or never.

    Duplicate address detection is running then, or has found another host that has it (``duplicate``).
    """

    index: int
    address: IpAddress
    prefix_length: int
    present: bool
    tentative: bool = False
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class RoutesChanged:
    """A route to ``destination`` came, changed or went; None: rules changed, or anything may have."""

    destination: IpNetwork | None


@dataclass(frozen=True, slots=True)
class NeighbourChanged:
    """The kernel's neighbour entry for an address on an interface.

    ``mac`` is None while it is not resolved (incomplete, failed, removed). ``confirmed``: the kernel has proof that
    it is right (REACHABLE, PERMANENT), rather than an old value (STALE, DELAY, PROBE).
    """

    index: int
    address: IpAddress
    mac: Mac | None
    confirmed: bool = True


@dataclass(frozen=True, slots=True)
class Resynchronised:
    """Messages were lost (ENOBUFS); everything the kernel knows was sent again before this. Ask for routes anew."""


HostEvent = LinkChanged | LinkRemoved | AddressChanged | RoutesChanged | NeighbourChanged | Resynchronised


@dataclass(frozen=True, slots=True)
class NextHop:
    """Where the kernel would send a packet: out of an interface, to an address on that link.

    ``address`` is the destination itself when it is on-link. ``source`` is the address the kernel would send from.
    """

    index: int
    interface: str
    address: IpAddress
    source: IpAddress | None = None


@dataclass(frozen=True, slots=True)
class NextHopFound:
    """Answer to ``Host.look_up_next_hop``: None when the kernel has no route."""

    destination: IpAddress
    next_hop: NextHop | None
