"""What a switch tells people as it happens, as values: the process logs them, the simulator and tests collect them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from inband.control.name_events import KnownAddress
from inband.switch.targets import Target
from inband.vocabulary.addresses import IpAddress


class Level(Enum):
    """How much a report matters."""

    INFO = "info"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Connected:
    """A version of OpenFlow was agreed on with a controller."""

    bridge: str
    target: Target
    address: IpAddress | None
    level = Level.INFO

    def __str__(self) -> str:
        return f"bridge {self.bridge}: connected to {self.target}"


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """A controller's connection ended, and it will be dialled again."""

    bridge: str
    target: Target
    reason: str
    level = Level.WARNING

    def __str__(self) -> str:
        return f"bridge {self.bridge}: lost controller {self.target}: {self.reason}; dialling again"


@dataclass(frozen=True, slots=True)
class CallerHungUpOn:
    """A peer that called had a session, and was hung up on: it did not read, did not answer, or sent rubbish."""

    bridge: str
    target: Target
    peer: str
    reason: str
    level = Level.WARNING

    def __str__(self) -> str:
        return f"{self.target}: hung up on {self.peer}: {self.reason}"


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """A place to listen at had as many connections as it takes."""

    bridge: str
    target: Target
    limit: int
    level = Level.WARNING

    def __str__(self) -> str:
        return f"{self.target} has {self.limit} connections already: another one was turned away"


@dataclass(frozen=True, slots=True)
class NotAllowed:
    """A peer called that may not."""

    bridge: str
    target: Target
    peer: str
    level = Level.WARNING

    def __str__(self) -> str:
        return f"{self.target}: {self.peer} is in none of the allowed networks: turned away"


@dataclass(frozen=True, slots=True)
class HandshakeFailed:
    """A peer that called did not get as far as a session: TLS, its certificate, or its HELLO was wrong or missing."""

    bridge: str
    target: Target
    peer: str
    reason: str
    level = Level.WARNING

    def __str__(self) -> str:
        return f"{self.target}: no session with {self.peer}: {self.reason}"


@dataclass(frozen=True, slots=True)
class OpenToStrangers:
    """A place to listen at takes all clients."""

    bridge: str
    target: Target
    level = Level.WARNING

    def __str__(self) -> str:
        return (
            f"bridge {self.bridge}: {self.target} is open to every host that can reach it, and a client may change "
            "all flows: add ,allow=PREFIX, or use pssl:"
        )


@dataclass(frozen=True, slots=True)
class ListensOnLoopback:
    """A place to listen at was given without an address."""

    bridge: str
    target: Target
    level = Level.INFO

    def __str__(self) -> str:
        where = f"{self.target.scheme}:{self.target.port}:0.0.0.0"
        return f"bridge {self.bridge}: {self.target} listens on loopback only; write {where} to listen on all addresses"


@dataclass(frozen=True, slots=True)
class ConnectFailed:
    """A controller cannot be reached, for the first time since it could or for long again."""

    bridge: str
    target: Target
    reason: str
    level = Level.WARNING

    def __str__(self) -> str:
        return f"bridge {self.bridge}: cannot connect to {self.target}: {self.reason}; trying again"


@dataclass(frozen=True, slots=True)
class StandaloneEntered:
    """The fail mode took over: no controller for too long."""

    bridge: str
    level = Level.WARNING

    def __str__(self) -> str:
        return f"bridge {self.bridge}: no controller: forwarding as a learning switch"


@dataclass(frozen=True, slots=True)
class StandaloneLeft:
    """A controller is back, and its flows decide again."""

    bridge: str
    level = Level.INFO

    def __str__(self) -> str:
        return f"bridge {self.bridge}: a controller is connected: its flows decide again"


@dataclass(frozen=True, slots=True)
class ServersChosen:
    """The DNS servers that are asked for the names of remotes are others."""

    servers: tuple[IpAddress, ...]
    source: str
    level = Level.INFO

    def __str__(self) -> str:
        if not self.servers:
            return "no DNS server is known to ask for names of remotes: set dns-server"
        return f"names of remotes are asked of {', '.join(map(str, self.servers))} (from {self.source})"


@dataclass(frozen=True, slots=True)
class NameResolved:
    """A remote's name has these addresses now."""

    name: str
    addresses: tuple[KnownAddress, ...]
    level = Level.INFO

    def __str__(self) -> str:
        return f"{self.name} is {', '.join(str(known.address) for known in self.addresses)}"


@dataclass(frozen=True, slots=True)
class NameProblem:
    """A name could not be resolved, or not anew."""

    name: str
    problem: str
    is_known: bool
    level = Level.WARNING

    def __str__(self) -> str:
        known = "its known addresses are kept" if self.is_known else "it is asked for again"
        return f"{self.name}: {self.problem}; {known}"


@dataclass(frozen=True, slots=True)
class LinkLost:
    """A port's link went down."""

    bridge: str
    number: int
    interface: str
    level = Level.WARNING

    def __str__(self) -> str:
        return f"bridge {self.bridge}: port {self.number} ({self.interface}) is down"


@dataclass(frozen=True, slots=True)
class LinkBack:
    """A port's link is up again."""

    bridge: str
    number: int
    interface: str
    level = Level.INFO

    def __str__(self) -> str:
        return f"bridge {self.bridge}: port {self.number} ({self.interface}) is up again"


@dataclass(frozen=True, slots=True)
class TreePortChanged:
    """The spanning tree has a port do something else with data. ``role`` and ``state`` are the standard's words."""

    bridge: str
    number: int
    interface: str
    role: str
    state: str
    level = Level.INFO

    def __str__(self) -> str:
        what = f"{self.role.lower()} port of the spanning tree, {self.state.lower()}"
        return f"bridge {self.bridge}: port {self.number} ({self.interface}) is now a {what}"


@dataclass(frozen=True, slots=True)
class NeighbourFound:
    """A neighbour on a port hears this switch and is heard; ``neighbour`` is its datapath id."""

    bridge: str
    number: int
    interface: str
    neighbour: int
    level = Level.INFO

    def __str__(self) -> str:
        return f"bridge {self.bridge}: port {self.number} ({self.interface}) leads to switch {self.neighbour:016x}"


@dataclass(frozen=True, slots=True)
class NeighbourLost:
    """A neighbour that was there is not, or has to begin anew."""

    bridge: str
    number: int
    interface: str
    neighbour: int
    reason: str
    level = Level.WARNING

    def __str__(self) -> str:
        where = f"port {self.number} ({self.interface})"
        return f"bridge {self.bridge}: {where}: lost neighbour {self.neighbour:016x}: {self.reason}"


@dataclass(frozen=True, slots=True)
class NeighbourRefused:
    """What a neighbour says does not count, for it has another network-key, or one of both has none."""

    bridge: str
    number: int
    interface: str
    reason: str
    level = Level.WARNING

    def __str__(self) -> str:
        where = f"port {self.number} ({self.interface})"
        return f"bridge {self.bridge}: {where}: a neighbour is not believed: {self.reason}"


@dataclass(frozen=True, slots=True)
class LoopFound:
    """Ports of a bridge without a spanning tree are joined outside. ``ports`` are in words: one or two of them."""

    bridge: str
    ports: tuple[str, ...]
    level = Level.WARNING

    def __str__(self) -> str:
        return f"bridge {self.bridge}: {joined(self.ports)}: broadcasts from there are limited; {LOOP_ADVICE}"


@dataclass(frozen=True, slots=True)
class LoopGone:
    """They are joined no longer."""

    bridge: str
    ports: tuple[str, ...]
    level = Level.INFO

    def __str__(self) -> str:
        return f"bridge {self.bridge}: no longer: {joined(self.ports)}"


LOOP_ADVICE = "take a cable out, or run a spanning tree (`inband set BRIDGE rstp=on`)"


def joined(ports: tuple[str, ...]) -> str:
    """A loop in words."""
    if len(ports) == 1:
        return f"port {ports[0]} leads back to itself outside this switch"
    return f"port {ports[0]} and port {ports[1]} are joined outside this switch"


Report = (
    Connected
    | ConnectionLost
    | CallerHungUpOn
    | TurnedAway
    | NotAllowed
    | HandshakeFailed
    | OpenToStrangers
    | ListensOnLoopback
    | ConnectFailed
    | StandaloneEntered
    | StandaloneLeft
    | ServersChosen
    | NameResolved
    | NameProblem
    | LinkLost
    | LinkBack
    | TreePortChanged
    | NeighbourFound
    | NeighbourLost
    | NeighbourRefused
    | LoopFound
    | LoopGone
)

Reporter = Callable[[Report], None]
"""Takes a report; must not raise."""
