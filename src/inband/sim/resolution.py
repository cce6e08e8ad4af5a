"""ARP and neighbour discovery of one simulated interface: its questions and answers, and whether an address is free.

As on Linux, ARP for any address of the host is answered on any interface (arp_ignore=0), solicitations only on the
interface that has the address; an IPv6 neighbour is asked for from the address of the packet that waits, or else from
the link-local one; and an address that is tentative is neither used nor defended (RFC 4862, 5.4).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Interface, IPv6Address

from inband.flow.fields import key_fields
from inband.host.events import HostEvent
from inband.packet.arp import build_arp
from inband.packet.frame import Frame
from inband.packet.nd import ALL_NODES, UNSPECIFIED, build_neighbour_advertisement, build_neighbour_solicitation
from inband.packet.parse import parse
from inband.sim.clock import VirtualClock
from inband.sim.interface import Interface
from inband.vocabulary.addresses import BROADCAST, IpAddress, Mac
from inband.vocabulary.numbers import ARP_REPLY, ARP_REQUEST, NEIGHBOUR_SOLICITATION

# Duplicate address detection: Linux waits up to a second at random before it asks, and then for a second (RFC 4862,
# 5.1 and 5.4.2). Here the first wait is always the same, so that runs can be compared.
DETECTION_DELAY_S, DETECTION_S = 0.3, 1.0
# What comes from another link is not believed (RFC 4861, 7.1).
_HOP_LIMIT = 255


@lru_cache(maxsize=1024)
def _read(data: bytes) -> Mapping[str, int]:
    """A frame's fields that are not zero: the same question comes to every host of a network."""
    return key_fields(parse(data, 0))


@dataclass(frozen=True, slots=True, eq=False)
class Resolution:
    """Speaks for an interface; ``owns`` says whether the host has an address, ``tell`` is told what becomes of ours."""

    interface: Interface
    clock: VirtualClock
    owns: Callable[[IpAddress], bool]
    tell: Callable[[HostEvent], None]
    is_router: bool

    def ask(self, address: IpAddress, source: IpAddress | None) -> None:
        """Ask all who has an address. ``source`` is that of the packet that waits, which need not be ours."""
        interface, mac = self.interface, self.interface.mac
        if isinstance(address, IPv6Address):
            is_ours = source in interface.addresses and source not in interface.tentative
            ours = source if is_ours else interface.link_local
            if isinstance(ours, IPv6Address):
                self._send(build_neighbour_solicitation(address, ours, mac))
            return
        ours = interface.source_for(address)
        if isinstance(ours, IPv4Address):
            self._send(build_arp(ARP_REQUEST, mac, ours, Mac(0), address, BROADCAST, mac))

    def announce(self) -> None:
        """Send gratuitous ARP requests (RFC 5227, 3) and unsolicited advertisements (RFC 4861, 7.2.6)."""
        for own in self.interface.usable:
            if isinstance(own, IPv4Interface):
                self.ask(own.ip, None)
            else:
                self._advertise(own.ip, ALL_NODES)

    def detect_duplicate(self, ip: IPv6Address) -> None:
        """Ask whether another host has an address before it is used."""

        def ask() -> None:
            self._send(build_neighbour_solicitation(ip, UNSPECIFIED, self.interface.mac))

        def confirm() -> None:
            if self.interface.tentative.get(ip) is False:
                del self.interface.tentative[ip]
                self._tell_of(ip)

        self.interface.tentative[ip] = False
        self.clock.call_later(DETECTION_DELAY_S, ask)
        self.clock.call_later(DETECTION_DELAY_S + DETECTION_S, confirm)

    def receive(self, data: bytes) -> None:
        """Take a frame with an ARP message, or a solicitation or advertisement whose checksum is right."""
        fields = _read(data)
        if "arp_op" in fields:
            self._receive_arp(fields)
        elif fields.get("ip_ttl") == _HOP_LIMIT:
            self._receive_discovery(fields)

    def _receive_arp(self, fields: Mapping[str, int]) -> None:
        sha, mac = Mac(fields.get("arp_sha", 0)), self.interface.mac
        sender, target = IPv4Address(fields.get("arp_spa", 0)), IPv4Address(fields.get("arp_tpa", 0))
        is_for_us = self.owns(target)
        if int(sender) and not self.owns(sender):
            self.interface.neighbours.heard(sender, sha, is_for_us=is_for_us)
        if fields["arp_op"] == ARP_REQUEST and is_for_us and sender != target:
            self._send(build_arp(ARP_REPLY, mac, target, sha, sender, sha, mac))

    def _receive_discovery(self, fields: Mapping[str, int]) -> None:
        interface = self.interface
        target, source = IPv6Address(fields.get("ipv6_nd_target", 0)), IPv6Address(fields.get("ipv6_src", 0))
        is_ours, is_question = target in interface.addresses, fields.get("icmpv6_type") == NEIGHBOUR_SOLICITATION
        if target in interface.tentative:
            if not is_question or source == UNSPECIFIED:
                interface.tentative[target] = True
                self._tell_of(target)
        elif not is_question:
            if not is_ours and "ipv6_nd_tll" in fields:
                interface.neighbours.heard(target, Mac(fields["ipv6_nd_tll"]), is_for_us=False)
        elif is_ours and source == UNSPECIFIED:
            self._advertise(target, ALL_NODES)
        elif is_ours and "ipv6_nd_sll" in fields:
            mac = Mac(fields["ipv6_nd_sll"])
            interface.neighbours.heard(source, mac, is_for_us=True)
            self._advertise(target, source, mac)

    def _advertise(self, target: IPv6Address, to: IPv6Address, dst: Mac | None = None) -> None:
        mac = self.interface.mac
        self._send(build_neighbour_advertisement(target, target, mac, to, dst=dst, router=self.is_router))

    def _tell_of(self, ip: IPv6Address) -> None:
        self.tell(self.interface.address_event(self.interface.addresses[ip]))

    def _send(self, data: bytes) -> None:
        self.interface.nic.transmit(Frame(data))
