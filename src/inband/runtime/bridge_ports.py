"""The configured ports of one bridge and the interfaces behind them, which come and go.

Invariants: a port whose interface is not there (yet, or any more) stays configured and is opened when the
interface appears, also with another index: a card that is slow to be found must not keep the switch from starting.
An interface that is renamed stays the port that it is, until there is another one of the configured name.
Numbers are ``switch.port_numbers``'s. The interface of a configured port is locked, there or not, so that two switches
never share it.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from inband.errors import InbandError, UsageError
from inband.flow.ports import LOCAL, PortNo
from inband.host import interfaces
from inband.host.events import (
    AddressChanged,
    HostEvent,
    LinkChanged,
    LinkRemoved,
    NeighbourChanged,
    Resynchronised,
    RoutesChanged,
)
from inband.host.state import KernelState
from inband.pipeline.mirrors import mirrors_of
from inband.runtime.interface_locks import InterfaceLocks
from inband.runtime.made_interfaces import make, unmake
from inband.runtime.port_shaping import PortShaping
from inband.switch.config import BridgeConfig, InternalPort, MadePort, PatchPort
from inband.switch.managed_bridge import ManagedBridge
from inband.switch.port_numbers import assign, remembered
from inband.vocabulary.addresses import IpAddress, Mac
from inband.vocabulary.tunnels import Tunnel

log = logging.getLogger(__name__)

Refused = Callable[[str, InbandError], None]
"""Is told which port cannot be had, and why."""


LOCKED_TOGETHER = 32
"""How many ports' interfaces are locked at once: together, a look at the names there are is as quick as for one."""


@dataclass(slots=True)
class Port:
    """A configured port: its number, and the kernel's index and name of its interface while that is open.

    ``addresses`` are those that have been handed on. ``made`` says that the switch makes the interface, and which; the
    other end of an internal port's has ``mac``, and the port's name.
    """

    number: PortNo
    made: MadePort | None = None
    index: int | None = None
    interface: str = ""
    mac: Mac = field(default_factory=lambda: Mac(0))
    addresses: set[IpAddress] = field(default_factory=set)


class BridgePorts:
    """Ports by the name of their interface. ``kernel`` is what the kernel has said so far.

    ``numbers`` are those that interfaces have and had, at first in an earlier run. ``address_given`` hears of addresses
    that an open port is given, or has when it appears. ``shaping`` has the queues of those that are open.
    """

    def __init__(
        self,
        managed: ManagedBridge,
        locks: InterfaceLocks,
        kernel: KernelState,
        numbers: Mapping[str, PortNo] | None = None,
        address_given: Callable[[AddressChanged], None] = lambda _: None,
    ) -> None:
        self._address_given = address_given
        self._managed = managed
        self._bridge = managed.bridge
        self._locks = locks
        self._kernel = kernel
        self._ports: dict[str, Port] = {}
        self._names: dict[int, str] = {}  # of open ports, by the index of their interface
        self._outside_ports: tuple[str, ...] = ()
        self.shaping = PortShaping(managed.bridge.name)
        self.numbers: Mapping[str, PortNo] = numbers or {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._ports)

    def number_of(self, name: str) -> PortNo | None:
        """The number of a port that is open."""
        port = self._ports.get(name)
        return None if port is None or port.index is None else port.number

    def waits_for_peer(self, name: str) -> PortNo | None:
        """The number of a patch port that has no peer yet."""
        port = self._ports.get(name)
        return port.number if port is not None and port.made == PatchPort(None) else None

    def missing(self) -> list[str]:
        """The ports that wait for their interface."""
        return [name for name, port in self._ports.items() if port.index is None]

    def release(self, wanted: Iterable[str]) -> Iterator[None]:
        """Give back the ports that are not wanted any more: go on with the iterator until it ends.

        The kernel takes 20 ms for each: it waits until no processor looks at the interface any more.
        """
        for name in set(self._ports) - set(wanted):
            port = self._ports.pop(name, None)
            if port is not None:
                self._close(name, port)
                if port.made is not None:
                    unmake(name, port.made)
                self._locks.release(name)
                yield

    def leave(self, config: BridgeConfig) -> Iterator[None]:
        """The same with those that ``config`` does not have, or not with the interface that they have."""
        made = dict(config.made_ports)
        yield from self.release([name for name in config.ports if self._stays(name, made.get(name))])

    def apply(
        self,
        config: BridgeConfig,
        refused: Refused | None = None,
    ) -> Iterator[None]:
        """Have exactly these ports with what is said of them: go on with the iterator to its end.

        One that cannot be a port is told to ``refused`` and left out; without that InbandError is raised for the first,
        and the others stay.
        """
        names, vlans, made = list(config.ports), dict(config.port_vlans), dict(config.made_ports)
        self.shaping.configure(dict(config.port_qos))
        self._outside_ports = config.outside_ports
        yield from self.leave(config)
        numbers = assign(names, dict(config.port_numbers), self.numbers)
        yield from self.release([name for name, port in self._ports.items() if port.number == numbers[name]])
        # Before they are opened: not one frame of a port may pass in a VLAN that is not its own.
        self._bridge.set_memberships({numbers[name]: vlans[name] for name in names if name in vlans})
        places = {**numbers, config.name: LOCAL}
        self._bridge.set_mirrors(mirrors_of(config.mirrors, places, self._bridge.ports.mirrors))
        self._managed.configure_tree(config, numbers)
        new = [name for name in names if name not in self._ports or self._ports[name].made != made.get(name)]
        for first in range(0, len(new), LOCKED_TOGETHER):
            yield from self._add_some(new[first : first + LOCKED_TOGETHER], numbers, made, refused)
        self.numbers = remembered(self.numbers, {name: port.number for name, port in self._ports.items()})

    def close(self) -> None:
        """Let others have the interfaces, which the datapath has given back already."""
        for name, port in self._ports.items():
            self._locks.release(name)
            self._locks.release(port.interface)
        self._ports.clear()
        self._names.clear()

    def handle(self, event: HostEvent) -> None:
        """Follow an interface that came, changed, was renamed or went, or was given an address."""
        match event:
            case LinkChanged(index=index, name=name):
                self._renamed(index, name)
                for configured in dict.fromkeys((self._names.get(index), name)):
                    port = None if configured is None else self._ports.get(configured)
                    if configured is None or port is None:
                        continue
                    if port.made is not None:
                        self._made_changed(configured, port, event)
                    else:
                        self._link_changed(port, event)
            case AddressChanged(index=index):
                for _, port in self._at(index):
                    self._given(port, [event])
            case LinkRemoved(index=index):
                for configured, port in self._at(index):
                    self._lose(configured, port)
            case NeighbourChanged() | RoutesChanged() | Resynchronised():  # not about links
                pass
            case _:
                assert_never(event)

    # --- inside -------------------------------------------------------------------------------------------------

    def _at(self, index: int) -> list[tuple[str, Port]]:
        """The port whose interface that is, if there is one: events come by the thousand."""
        name = self._names.get(index)
        return [] if name is None else [(name, self._ports[name])]

    def _stays(self, name: str, made: MadePort | None) -> bool:
        """Whether a port goes on with the interface that it has; only what is said of an internal one may change."""
        port = self._ports.get(name)
        return port is None or port.made == made or (isinstance(made, InternalPort) and type(port.made) is type(made))

    def _add_some(
        self,
        names: list[str],
        numbers: Mapping[str, PortNo],
        made: Mapping[str, MadePort],
        refused: Refused | None,
    ) -> Iterator[None]:
        """Add these ports, or change them: a step for each."""
        free = [name for name in names if name not in self._locks]
        unlocked = self._locks.take_together(free)
        try:
            for name in names:
                try:
                    if name in unlocked:
                        raise unlocked[name]
                    self._add(name, numbers[name], made.get(name))
                except InbandError as error:
                    if refused is None:
                        raise
                    refused(name, error)
                yield
        finally:
            for name in free:
                if name not in self._ports:
                    self._locks.release(name)

    def _add(self, name: str, number: PortNo, made: MadePort | None) -> None:
        """Add a port, or give that internal one another MAC address or MTU."""
        present = self._ports.get(name)
        if present is not None and made is not None:
            make(name, made, self._kernel, self._outside_ports)
            present.made = made
            return
        self._locks.take(name)
        port = Port(number, made)
        try:
            if made is not None:
                self._open_made(name, port, made)
            elif is_there(name):
                interfaces.check_port(name)
                self._open(name, port, name)
        except InbandError:
            self._locks.release(name)
            raise
        self._ports[name] = port
        if port.index is None and made is None:
            text = "bridge %s: there is no interface %s: it becomes port %d when it appears"
            log.warning(text, self._bridge.name, name, port.number)

    def _open_made(self, name: str, port: Port, made: MadePort) -> None:
        """Open a port whose interface the switch makes, when there can be one."""
        try:
            interface = make(name, made, self._kernel, self._outside_ports)
            if interface is not None:
                self._open(name, port, interface)
        except InbandError:
            unmake(name, made)
            raise

    def _open(self, name: str, port: Port, interface: str) -> None:
        try:
            index = socket.if_nametoindex(interface)
        except OSError:
            raise UsageError(f"there is no interface {interface} any more: `ip link` shows those there are") from None
        self._bridge.datapath.add_port(port.number, interface)
        port.index, port.interface = index, interface
        self._names[index] = name
        link = self._kernel.link(index) if port.made is None else self._kernel.link_named(name)
        # An interface that was made a moment ago: its first event is still to come, and says the truth.
        port.mac, is_up = (link.mac, link.up and link.running) if link is not None else (Mac(0), True)
        self._bridge.add_port(port.number, name, port.mac, link_up=is_up)
        self.shaping.opened(name, index)

    def _close(self, name: str, port: Port) -> None:
        if port.interface != name:
            self._locks.release(port.interface)
        if port.index is not None:
            self._names.pop(port.index, None)
        port.index, port.interface = None, ""
        port.addresses.clear()
        self.shaping.closed(name)
        self._bridge.datapath.remove_port(port.number)
        self._bridge.remove_port(port.number)

    def _lose(self, name: str, port: Port) -> None:
        log.warning("bridge %s: interface %s is gone: port %d waits for it", self._bridge.name, name, port.number)
        self._close(name, port)
        if isinstance(port.made, InternalPort | Tunnel):
            try:
                self._open_made(name, port, port.made)
            except InbandError as error:
                log.warning("bridge %s: interface %s cannot be made again: %s", self._bridge.name, name, error)

    def _made_changed(self, name: str, port: Port, event: LinkChanged) -> None:
        """An end of an interface that the switch made changed: the outer one has the address, both say if it is up."""
        if port.index is None or (event.index != port.index and event.name != name):
            return
        if event.name == name:
            port.mac = event.mac
        self._managed.link_changed(port.number, link_up=event.up and event.running, mac=port.mac)

    def _renamed(self, index: int, name: str) -> None:
        """An interface may have another name now: what has a port's number by one name has it by the next one."""
        for configured, port in self._at(index):
            if port.interface == name or port.made is not None:
                return
            if name in self._ports and name != configured:
                self._lose(configured, port)  # it is to be another port
                return
            try:
                self._locks.take(name)
            except InbandError as error:
                log.warning("bridge %s: %s", self._bridge.name, error)
                self._lose(configured, port)
                return
            if port.interface != configured:
                self._locks.release(port.interface)
            port.interface = name
            self._bridge.rename_port(port.number, name)
            if name != configured:
                text = "bridge %s: interface %s is called %s now, and stays port %d: name it so in the configuration"
                log.warning(text, self._bridge.name, configured, name, port.number)

    def _given(self, port: Port, addresses: Iterable[AddressChanged]) -> None:
        """Hand on what a port carries that is this machine's own, once; link-local addresses every interface has.

        An address may be known when the port is opened and its own event still be to come.
        """
        for each in addresses:
            if not each.present:
                port.addresses.discard(each.address)
            elif not each.address.is_link_local and each.address not in port.addresses:
                port.addresses.add(each.address)
                self._address_given(each)

    def _link_changed(self, port: Port, event: LinkChanged) -> None:
        if port.index != event.index:
            if port.index is not None:
                self._close(event.name, port)  # the renamed one gives way to the one of the right name
            try:
                interfaces.check_port(event.name)
                self._open(event.name, port, event.name)
            except InbandError as error:
                log.warning("bridge %s: port %s cannot be opened: %s", self._bridge.name, event.name, error)
                return
            log.info("bridge %s: interface %s is port %d", self._bridge.name, event.name, port.number)
            self._given(port, self._kernel.addresses_of(event.index))
        self._managed.link_changed(port.number, link_up=event.up and event.running, mac=event.mac)


def is_there(interface: str) -> bool:
    """Whether the kernel has an interface of this name now."""
    try:
        socket.if_nametoindex(interface)
    except OSError:
        return False
    return True
