"""What of a remote is protected: a port there that this switch speaks to, or a port here that the remote speaks to.

Five kinds, by the words of the targets (docs/guide.md, "Targets")::

    tcp:HOST:PORT         of a controller: TCP to and from PORT of HOST
    tcp:HOST:PORT         of a manager: the same, of switches
    udp:HOST:PORT         UDP to and from PORT of HOST, of switches
    from:tcp:HOST:PORT    TCP from HOST to PORT of a switch, and back; HOST may be a network, and so may its ICMP echo
    from:udp:HOST:PORT    likewise

TCP to a controller is the seed of all: the control channel itself. Its rules name no address of a switch, because a
bridge without an address carries the channels of others. All other kinds hold for addresses in the switches' own
networks alone (``rules.State.networks``), so that no host gets past the controller's policy by them.
"""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Network, IPv6Address, IPv6Network
from typing import NamedTuple

from inband.vocabulary.addresses import IpAddress, IpNetwork
from inband.vocabulary.numbers import IP_TCP, IP_UDP


class Protocol(StrEnum):
    """What carries it."""

    TCP = "tcp"
    UDP = "udp"

    @property
    def number(self) -> int:
        """The protocol's number in an IP header."""
        return IP_TCP if self is Protocol.TCP else IP_UDP


class Endpoint(NamedTuple):
    """A port of a remote or, with ``calls``, a port of a switch that the remote speaks to.

    ``managed``: the remote is a manager and no controller. ``length`` (only with ``calls``) makes the address that of a
    network with so many bits; None: one host.
    """

    address: IpAddress
    port: int
    protocol: Protocol = Protocol.TCP
    calls: bool = False
    length: int | None = None
    managed: bool = False

    @property
    def is_narrow(self) -> bool:
        """Whether its rules hold for the switches' own networks only."""
        return self.managed or self.calls or self.protocol is Protocol.UDP

    @property
    def network(self) -> IpNetwork:
        """Where the remote is: one address, or a network."""
        return network_of(self.address, self.address.max_prefixlen if self.length is None else self.length)

    @property
    def place(self) -> str:
        """The address as people write it, with the network's length where it has one."""
        length = "" if self.length is None else f"/{self.length}"
        return f"{without_scope(self.address)}{length}"

    @property
    def subject(self) -> str:
        """What dumps and traces call it: HOST:PORT, with the words of its target before it if it is narrow."""
        host = str(without_scope(self.address))
        host = host if self.address.version == 4 else f"[{host}]"
        length = "" if self.length is None else f"/{self.length}"
        words = f"{'from:' if self.calls else ''}{self.protocol}:" if self.is_narrow else ""
        return f"{words}{host}{length}:{self.port}"


class PortUsers:
    """Counts who protects which port. ``ports`` is the same object until it changes."""

    def __init__(self) -> None:
        self.ports: frozenset[int] = frozenset()
        self._users: dict[int, int] = {}

    def count(self, port: int, change: int) -> None:
        """So many users more or less."""
        users = self._users.get(port, 0)
        self._users[port] = users + change
        if users + change == 0:
            del self._users[port]
        if 0 in (users, users + change):
            self.ports = frozenset(self._users)


def network_of(address: IpAddress, length: int) -> IpNetwork:
    """The network of an address, without the interface of a link-local one."""
    if address.version == 4:
        return IPv4Network((int(address), length), strict=False)
    return IPv6Network((int(address), length), strict=False)


def common_part(one: IpNetwork, other: IpNetwork) -> IpNetwork | None:
    """The network that is in both, None where there is none: networks contain one another or have nothing in common."""
    if isinstance(one, IPv4Network) and isinstance(other, IPv4Network):
        return _smaller(one, other) if one.overlaps(other) else None
    if isinstance(one, IPv6Network) and isinstance(other, IPv6Network):
        return _smaller(one, other) if one.overlaps(other) else None
    return None


def _smaller(one: IpNetwork, other: IpNetwork) -> IpNetwork:
    return one if one.prefixlen >= other.prefixlen else other


def without_scope(address: IpAddress) -> IpAddress:
    """The address as packets have it: an interface's name behind a link-local one is the host's own business."""
    return IPv6Address(int(address)) if address.version == 6 else address
