"""What is told to a bridge that comes later is what holds now, and nothing that is over."""

from __future__ import annotations

from ipaddress import IPv4Address

from inband.host.events import AddressChanged, LinkChanged, LinkRemoved, NeighbourChanged
from inband.runtime.known_host import KnownHost
from inband.vocabulary.addresses import Mac

LINK = LinkChanged(3, "eth0", Mac(2), up=True, running=True, mtu=1500)
ADDRESS = AddressChanged(3, IPv4Address("10.0.0.1"), 24, present=True)
NEIGHBOUR = NeighbourChanged(3, IPv4Address("10.0.0.2"), Mac(5))


def test_links_addresses_and_resolved_neighbours_are_told_again() -> None:
    known = KnownHost()

    for event in (LINK, ADDRESS, NEIGHBOUR):
        known.note(event)

    assert list(known) == [LINK, ADDRESS, NEIGHBOUR]


def test_what_is_over_is_forgotten() -> None:
    known = KnownHost()
    for event in (LINK, ADDRESS, NEIGHBOUR):
        known.note(event)

    known.note(NeighbourChanged(3, NEIGHBOUR.address, None))
    known.note(AddressChanged(3, ADDRESS.address, 24, present=False))
    known.note(LinkRemoved(3, "eth0"))

    assert list(known) == []
