"""The switch's ports as the pipeline sees them, LOCAL among them: numbers, names and what a controller configured.

Where a spanning tree runs, a port that does not forward neither takes nor sends data. In-band control passes it as it
passes port configuration.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from inband.flow.membership import VlanMembership
from inband.flow.ports import CONTROLLER, PortNo
from inband.pipeline.mirrors import Mirror
from inband.vocabulary.addresses import Mac
from inband.vocabulary.link_settings import UNKNOWN_LINK, LinkSettings
from inband.vocabulary.openflow import PortConfig, PortState
from inband.vocabulary.spanning_tree import StpState

# As plain numbers: these are asked for every packet and port, and the operators of IntFlag take a microsecond each.
_TAKES_NO_DATA = int(PortConfig.PORT_DOWN | PortConfig.NO_RECV)
_SENDS_NO_DATA = int(PortConfig.PORT_DOWN | PortConfig.NO_FWD)
_FLOODS_NO_DATA = int(PortConfig.PORT_DOWN | PortConfig.NO_FWD | PortConfig.NO_FLOOD)


@dataclass(frozen=True, slots=True)
class SwitchPort:
    """One port (OpenFlow 1.3.5, 7.2.1)."""

    number: PortNo
    name: str
    mac: Mac
    config: PortConfig = PortConfig.NONE
    state: PortState = PortState.LIVE
    link: LinkSettings = UNKNOWN_LINK
    tree: StpState = StpState.FORWARDING

    @property
    def takes_data(self) -> bool:
        """Whether data traffic that arrives here is processed."""
        return not int(self.config) & _TAKES_NO_DATA and self.tree is StpState.FORWARDING

    @property
    def learns_data(self) -> bool:
        """Whether data traffic that arrives here and is not taken shows all the same where its sender is."""
        return not int(self.config) & _TAKES_NO_DATA and self.tree is StpState.LEARNING

    @property
    def sends_data(self) -> bool:
        """Whether data traffic may leave here."""
        return not int(self.config) & _SENDS_NO_DATA and self.tree is StpState.FORWARDING

    @property
    def floods_data(self) -> bool:
        """Whether flooded data traffic may leave here."""
        return not int(self.config) & _FLOODS_NO_DATA and self.tree is StpState.FORWARDING


class PortTable:
    """Ports by number. ``has_controller`` says whether one is connected: then the port CONTROLLER is live.

    ``memberships`` are the VLANs of ports that have some configured, there or not; others carry all as they are.
    """

    def __init__(self) -> None:
        self.has_controller = False
        self.memberships: Mapping[PortNo, VlanMembership] = {}
        self.flooded: tuple[PortNo, ...] = ()
        """Ports that flooded data may leave by, in the order of their numbers."""
        self.outside_tree: frozenset[PortNo] = frozenset()
        """Ports that the spanning tree keeps from forwarding."""
        self.closed: frozenset[PortNo] = frozenset()
        """Ports whose data is not processed."""
        self.numbers: frozenset[PortNo] = frozenset()
        """Of all ports."""
        self.mirrors: tuple[Mirror, ...] = ()
        self.mirror_outputs: frozenset[PortNo] = frozenset()
        """Ports that are for mirrors' copies: NORMAL takes nothing from them, and floods leave them out."""
        self._ports: dict[PortNo, SwitchPort] = {}

    def put(self, port: SwitchPort) -> bool:
        """Add a port, or replace the one of this number; whether that changed anything."""
        if self._ports.get(port.number) == port:
            return False
        is_new = port.number not in self._ports
        self._ports[port.number] = port
        if is_new:
            self._ports = dict(sorted(self._ports.items()))
            self.numbers |= {port.number}
        self._note_kind(port)
        return True

    def remove(self, number: PortNo) -> SwitchPort | None:
        """Forget a port; returns it if it was there."""
        port = self._ports.pop(number, None)
        self._note_kinds()
        return port

    def _note_kind(self, port: SwitchPort) -> None:
        """The same for one that is new or another one now: a switch with a thousand ports gets them one by one."""
        number = port.number
        self.outside_tree = _with(self.outside_tree, number, is_in=port.tree is not StpState.FORWARDING)
        self.closed = _with(self.closed, number, is_in=not port.takes_data)
        at = bisect_left(self.flooded, number)
        is_in = port.floods_data and number not in self.mirror_outputs
        if (number in self.flooded[at : at + 1]) != is_in:
            self.flooded = (*self.flooded[:at], *([number] if is_in else []), *self.flooded[at + (not is_in) :])

    def _note_kinds(self) -> None:
        """Note which are of what kind: each packet asks for it."""
        ports = self._ports.values()
        outputs = self.mirror_outputs
        self.flooded = tuple(port.number for port in ports if port.floods_data and port.number not in outputs)
        self.outside_tree = frozenset(port.number for port in ports if port.tree is not StpState.FORWARDING)
        self.closed = frozenset(port.number for port in ports if not port.takes_data)
        self.numbers = frozenset(self._ports)

    def set_mirrors(self, mirrors: tuple[Mirror, ...]) -> None:
        """Have exactly these mirrors."""
        self.mirrors = mirrors
        self.mirror_outputs = frozenset(mirror.output for mirror in mirrors)
        self._note_kinds()

    def configure(self, number: PortNo, config: PortConfig, mask: PortConfig) -> bool:
        """Set the bits of ``mask`` in a port's configuration (PORT_MOD); whether that changed anything."""
        port = self._ports.get(number)
        return port is not None and self.put(replace(port, config=port.config & ~mask | config & mask))

    def set_state(self, number: PortNo, state: PortState) -> bool:
        """Set a port's state; whether that changed anything."""
        port = self._ports.get(number)
        return port is not None and self.put(replace(port, state=state))

    def get(self, number: PortNo) -> SwitchPort | None:
        """A port by number."""
        return self._ports.get(number)

    def is_live(self, number: PortNo) -> bool:
        """Whether a group's bucket that watches a port may be used (OpenFlow 1.3.5, 6.5, "Liveness")."""
        if number == CONTROLLER:
            return self.has_controller
        port = self._ports.get(number)
        if port is None or port.tree is not StpState.FORWARDING:
            return False
        return not (port.config & PortConfig.PORT_DOWN or port.state & PortState.LINK_DOWN)

    def by_name(self, name: str) -> SwitchPort | None:
        """A port by the name of its interface."""
        return next((port for port in self._ports.values() if port.name == name), None)

    def __iter__(self) -> Iterator[SwitchPort]:
        """Ports in the order of their numbers (LOCAL last)."""
        return iter(self._ports.values())

    def __len__(self) -> int:
        """How many ports there are."""
        return len(self._ports)


def _with(numbers: frozenset[PortNo], number: PortNo, *, is_in: bool) -> frozenset[PortNo]:
    """The same set with a port or without it; the very same where nothing changes."""
    if (number in numbers) == is_in:
        return numbers
    return numbers | {number} if is_in else numbers - {number}
