"""What the in-band engine is told (events, past participles) and what it wants done (commands, imperatives).

The engine never sees a socket, a table or a clock; the bridge turns the world into these events and carries these
commands out. Kernel events (NeighbourChanged, RoutesChanged, NextHopFound) come as ``inband.host.events`` has them.

The contract: the commands that an event gives rise to are carried out at once, in their order, before the engine gets
another event; what the kernel answers comes later. A rule counts as installed while the table has it, never because it
was commanded, so a rule whose command raised is commanded again with the next event, whatever that is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from inband.control.endpoints import Endpoint, Protocol
from inband.control.rules import InBandRule
from inband.flow.actions import Instruction
from inband.host.events import NeighbourChanged, NextHopFound, RoutesChanged
from inband.vocabulary.addresses import IpAddress, IpNetwork, Mac


class RemoteKind(Enum):
    """Why a remote must be reachable."""

    CONTROLLER = "controller"
    """The switch dials it, so its next hop is asked for insistently."""
    FOUND = "found"
    """Likewise, but neighbours have told of it: this switch is not configured with it."""
    MANAGER = "manager"
    """The switch does not dial it; its next hop is asked for now and then."""


@dataclass(frozen=True, slots=True)
class Remote:
    """What must always be reachable, and why; one endpoint may be a remote of both kinds.

    The fields between are those of ``Endpoint``: without them it is TCP to a port there.
    """

    address: IpAddress
    port: int
    kind: RemoteKind
    protocol: Protocol = Protocol.TCP
    calls: bool = False
    length: int | None = None

    @property
    def endpoint(self) -> Endpoint:
        """What is protected."""
        is_managed = self.kind is RemoteKind.MANAGER
        return Endpoint(self.address, self.port, self.protocol, self.calls, self.length, is_managed)


@dataclass(frozen=True, slots=True)
class RemotesChanged:
    """Remotes came and went. Adding one twice or removing an unknown one changes nothing."""

    added: Iterable[Remote] = ()
    removed: Iterable[Remote] = ()


@dataclass(frozen=True, slots=True)
class NeighboursNeed:
    """Neighbours of the network's key, and switches behind them, need these and nothing else.

    ``endpoints`` are their controllers, ``hops`` the addresses of their next hops, ``clients`` the MAC addresses of
    LOCALs that ask for addresses and routes, ``servers`` the DNS servers that they ask.
    """

    endpoints: frozenset[Endpoint] = frozenset()
    hops: frozenset[IpAddress] = frozenset()
    clients: frozenset[Mac] = frozenset()
    servers: frozenset[IpAddress] = frozenset()


@dataclass(frozen=True, slots=True)
class ServersChanged:
    """The DNS servers that remotes' names are asked of are these; none while no remote has a name."""

    servers: frozenset[IpAddress]


@dataclass(frozen=True, slots=True)
class InBandEnabled:
    """In-band control was turned on or off for this bridge."""

    enabled: bool


@dataclass(frozen=True, slots=True)
class QueueChanged:
    """Control traffic shall use this queue (None: no particular one)."""

    queue: int | None


@dataclass(frozen=True, slots=True)
class ControlVlanChanged:
    """Control traffic is in this VLAN (None: untagged)."""

    vlan: int | None


@dataclass(frozen=True, slots=True)
class LocalMacChanged:
    """The local port's MAC address is this (None or 0: unknown)."""

    mac: Mac | None


@dataclass(frozen=True, slots=True)
class LocalAddressesChanged:
    """The local port's addresses are these, tentative ones included."""

    addresses: frozenset[IpAddress]


@dataclass(frozen=True, slots=True)
class NetworksChanged:
    """The networks of the local ports of all bridges are these: there this switch and those behind it are spoken to."""

    networks: frozenset[IpNetwork]


@dataclass(frozen=True, slots=True)
class LocalAddressReady:
    """The local port can send from an address of this IP version (4 or 6) from now on.

    Before that the kernel has no source for its questions, and none of ours may use an address that duplicate address
    detection has not confirmed.
    """

    version: int


@dataclass(frozen=True, slots=True)
class ChannelSilent:
    """A channel to this address has sent something that was not acknowledged, or hears nothing any more."""

    address: IpAddress


@dataclass(frozen=True, slots=True)
class ChannelAlive:
    """A channel to this address works (again)."""

    address: IpAddress


@dataclass(frozen=True, slots=True)
class PlaceLost:
    """A packet of in-band control to this MAC address was flooded: it is not known behind which port it is."""

    mac: Mac


@dataclass(frozen=True, slots=True)
class TimePassed:
    """The instant that ``next_deadline`` named has come (or may have)."""


Event = (
    RemotesChanged
    | NeighboursNeed
    | ServersChanged
    | InBandEnabled
    | QueueChanged
    | ControlVlanChanged
    | LocalMacChanged
    | LocalAddressesChanged
    | NetworksChanged
    | LocalAddressReady
    | ChannelSilent
    | ChannelAlive
    | PlaceLost
    | TimePassed
    | NeighbourChanged
    | RoutesChanged
    | NextHopFound
)


@dataclass(frozen=True, slots=True)
class InstallRules:
    """Install these hidden flows, or give those that are there these instructions in place."""

    rules: tuple[InBandRule, ...]
    instructions: tuple[Instruction, ...]


@dataclass(frozen=True, slots=True)
class RemoveRules:
    """Remove these hidden flows, and what caches know of them. Comes after the InstallRules of the same change."""

    rules: tuple[InBandRule, ...]


@dataclass(frozen=True, slots=True)
class LookUpNextHop:
    """Ask the kernel how it would reach this address; answer with NextHopFound."""

    destination: IpAddress


@dataclass(frozen=True, slots=True)
class SolicitNeighbour:
    """Make the kernel resolve this neighbour (it has no entry, or a failed one)."""

    index: int
    address: IpAddress


@dataclass(frozen=True, slots=True)
class ProbeNeighbour:
    """Send one ARP request or neighbour solicitation of our own from the local port, whatever the kernel's entry says.

    The kernel will not ask again while its entry looks good or while its own one-second timer runs; an answer to our
    question updates its entry all the same.
    """

    index: int
    address: IpAddress


@dataclass(frozen=True, slots=True)
class ConfirmPlace:
    """Ask as ProbeNeighbour does, if nothing was heard from this MAC address for so long that its place may be lost."""

    index: int
    address: IpAddress
    mac: Mac


Command = InstallRules | RemoveRules | LookUpNextHop | SolicitNeighbour | ProbeNeighbour | ConfirmPlace
