"""A simulated host's interface: its addresses, those that are not confirmed yet, and what it says of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv6Address, IPv6Interface, IPv6Network

from inband.host.events import AddressChanged, HostEvent, LinkChanged, NeighbourChanged
from inband.packet.nd import ALL_NODES, multicast_mac, solicited_node
from inband.sim.link import Nic
from inband.sim.neighbours import Neighbours
from inband.switch.config import IpInterface
from inband.vocabulary.addresses import BROADCAST, IpAddress, Mac

MTU = 1500
_BROADCAST = BROADCAST.packed
LINK_LOCAL = IPv6Network("fe80::/64")


@dataclass(slots=True, eq=False)
class Interface:
    """An interface.

    ``tentative`` are the addresses that duplicate address detection has not confirmed (RFC 4862, 5.4); with True,
    another host has it. ``taps`` see every frame that arrives, as packet sockets do.
    """

    index: int
    name: str
    mac: Mac
    nic: Nic
    neighbours: Neighbours
    detects_duplicates: bool = False
    addresses: dict[IpAddress, IpInterface] = field(default_factory=dict)
    tentative: dict[IpAddress, bool] = field(default_factory=dict)
    taps: list[Callable[[bytes], None]] = field(default_factory=list)

    @property
    def usable(self) -> list[IpInterface]:
        """The addresses that can be used."""
        return [address for ip, address in self.addresses.items() if ip not in self.tentative]

    @property
    def link_local(self) -> IPv6Address | None:
        """The link-local address, if it can be used."""
        return next((a.ip for a in self.usable if isinstance(a, IPv6Interface) and a.ip.is_link_local), None)

    def source_for(self, destination: IpAddress) -> IpAddress | None:
        """The address to send from: in the destination's network if there is one, else of its scope."""

        def rank(own: IpInterface) -> tuple[bool, ...]:
            is_near, is_same_scope = destination in own.network, own.ip.is_link_local == destination.is_link_local
            return own.ip == destination, is_near, is_same_scope

        fitting = [address for address in self.usable if address.version == destination.version]
        return max(fitting, key=rank).ip if fitting else None

    def hears(self, mac: bytes) -> bool:
        """Whether frames to this address are for us: a multicast group that we are in counts (RFC 4291, 2.8)."""
        if mac in (_BROADCAST, self.mac.packed):
            return True
        if not mac.startswith(b"\x33\x33"):
            return False
        ours = (solicited_node(ip) for ip in self.addresses if isinstance(ip, IPv6Address))
        return any(multicast_mac(group).packed == mac for group in (ALL_NODES, *ours))

    def link_event(self) -> LinkChanged:
        """The interface as rtnetlink describes it."""
        return LinkChanged(self.index, self.name, self.mac, up=True, running=self.nic.has_carrier, mtu=MTU)

    def address_event(self, address: IpInterface, *, present: bool = True) -> AddressChanged:
        """An address as rtnetlink announces it."""
        return AddressChanged(
            self.index, address.ip, address.network.prefixlen, present=present,
            tentative=address.ip in self.tentative, duplicate=self.tentative.get(address.ip, False),
        )  # fmt: skip

    def known(self) -> Iterator[HostEvent]:
        """What rtnetlink tells of it to a process that begins to listen."""
        yield self.link_event()
        yield from (self.address_event(address) for address in self.addresses.values())
        for neighbour, mac in self.neighbours.table().items():
            yield NeighbourChanged(self.index, neighbour, mac)


def made_of_mac(mac: Mac, network: IPv6Network = LINK_LOCAL) -> IPv6Interface:
    """The address that an interface makes of its MAC address, in a network of 64 bits (RFC 4291, appendix A)."""
    high, low = mac >> 24 ^ 0x020000, mac & 0xFFFFFF
    return IPv6Interface((network.network_address + (high << 40 | 0xFFFE << 24 | low), 64))
