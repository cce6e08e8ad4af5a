"""The questions that this switch asks in its own name: from which of its addresses, in which frame.

The kernel asks for neighbours itself, but not while its entry looks good and not before its own timer. These questions
are ours; the answers reach the kernel all the same, and it says what it learned.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_network

from inband.host.events import AddressChanged
from inband.packet.arp import build_arp
from inband.packet.nd import build_neighbour_solicitation
from inband.vocabulary.addresses import BROADCAST, IpAddress, Mac
from inband.vocabulary.numbers import ARP_REQUEST


def question(target: IpAddress, mac: Mac, own: Iterable[AddressChanged], *, at: Mac | None = None) -> bytes | None:
    """An ARP request or neighbour solicitation for ``target``, from an interface with this MAC and these addresses.

    It is for all, or for ``at`` alone. None when the interface has no address to ask from. Not padded, no VLAN tag.
    """
    sender = sender_towards(target, own)
    if isinstance(target, IPv4Address) and isinstance(sender, IPv4Address):
        return build_arp(ARP_REQUEST, mac, sender, Mac(0), target, at or BROADCAST, mac)
    if isinstance(target, IPv6Address) and isinstance(sender, IPv6Address):
        return build_neighbour_solicitation(target, sender, mac, dst=at)
    return None


def sender_towards(target: IpAddress, own: Iterable[AddressChanged]) -> IpAddress | None:
    """Our address in the target's network, else any of ours: a host answers only those whom it could reach.

    Never one that may be another host's (RFC 4862, 5.4).
    """
    usable = [each for each in own if not each.tentative and each.address.version == target.version]
    near = (each for each in usable if target in ip_network((each.address, each.prefix_length), strict=False))
    found = next(near, usable[0] if usable else None)
    return None if found is None else found.address
