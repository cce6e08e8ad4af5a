"""The configured ports of one bridge and the interfaces behind them, which come and go.

What must stay true: a port whose interface is not there (yet, or any more) stays configured and is opened when the
interface appears, also with another index: a card that is slow to be found must not keep the switch from starting.
A port that is taken out and put back has its number again if that is free, for flows name ports by number. The
interface of a configured port is claimed, there or not, so that two switches never share it.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from inband.bridge.bridge import Bridge
from inband.errors import InbandError, UsageError
from inband.flow.ports import PortNo
from inband.host import interfaces
from inband.host.events import HostEvent, LinkChanged, LinkRemoved
from inband.host.state import KernelState
from inband.runtime.claims import Claims
from inband.vocabulary.addresses import Mac

log = logging.getLogger(__name__)

# Interfaces of guests come and go under ever new names; a number is remembered for those that come back soon.
MAX_REMEMBERED = 1000


@dataclass(slots=True)
class Port:
    """A configured port: its number, and the kernel's index of its interface while that is open."""

    number: PortNo
    index: int | None = None


class BridgePorts:
    """Ports by the name of their interface. ``kernel`` is what the kernel has said so far."""

    def __init__(self, bridge: Bridge, claims: Claims, kernel: KernelState) -> None:
        self._bridge = bridge
        self._claims = claims
        self._kernel = kernel
        self._ports: dict[str, Port] = {}
        self._numbers: dict[str, PortNo] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._ports)

    def missing(self) -> list[str]:
        """The ports that wait for their interface."""
        return [name for name, port in self._ports.items() if port.index is None]

    def release(self, wanted: Iterable[str]) -> None:
        """Give back the ports that are not wanted any more."""
        for name in set(self._ports) - set(wanted):
            port = self._ports.pop(name)
            self._close(port)
            self._claims.release(name)

    def apply(self, wanted: Iterable[str]) -> None:
        """Have exactly these ports. Raises InbandError for the first that cannot be one; the others stay."""
        names = list(wanted)
        self.release(names)
        for name in names:
            if name not in self._ports:
                self._add(name)

    def close(self) -> None:
        """Let others have the interfaces, which the datapath has given back already."""
        for name in self._ports:
            self._claims.release(name)
        self._ports.clear()

    def handle(self, event: HostEvent) -> None:
        """Follow an interface that came, changed, was renamed or went."""
        match event:
            case LinkChanged(index=index, name=name):
                self._lose(index, unless=name)
                if name in self._ports:
                    self._link_changed(self._ports[name], event)
            case LinkRemoved(index=index):
                self._lose(index)
            case _:
                pass

    # --- inside -------------------------------------------------------------------------------------------------

    def _add(self, name: str) -> None:
        self._claims.take(name)
        port = Port(self._number_for(name))
        try:
            if _exists(name):
                self._open(name, port)
        except InbandError:
            self._claims.release(name)
            raise
        self._ports[name] = port
        self._remember(name, port.number)
        if port.index is None:
            text = "bridge %s: there is no interface %s: it becomes port %d when it appears"
            log.warning(text, self._bridge.name, name, port.number)

    def _number_for(self, name: str) -> PortNo:
        """The number the port had before if that is free, else the lowest free one."""
        taken = {port.number for port in self._ports.values()}
        before = self._numbers.pop(name, None)
        if before is not None and before not in taken:
            return before
        return next(PortNo(n) for n in range(1, len(taken) + 2) if n not in taken)

    def _remember(self, name: str, number: PortNo) -> None:
        self._numbers[name] = number
        if len(self._numbers) > MAX_REMEMBERED:
            del self._numbers[next(iter(self._numbers))]

    def _open(self, name: str, port: Port) -> None:
        interfaces.check_port(name)
        try:
            index = socket.if_nametoindex(name)
        except OSError:
            raise UsageError(f"there is no interface {name} any more: `ip link` shows those there are") from None
        self._bridge.datapath.add_port(port.number, name)
        port.index = index
        link = self._kernel.link(index)
        # An interface that was made a moment ago: its first event is still to come, and says the truth.
        mac, is_up = (link.mac, link.up and link.running) if link is not None else (Mac(0), True)
        self._bridge.add_port(port.number, name, mac, link_up=is_up)

    def _close(self, port: Port) -> None:
        port.index = None
        self._bridge.datapath.remove_port(port.number)
        self._bridge.remove_port(port.number)

    def _lose(self, index: int, unless: str = "") -> None:
        """An interface is gone, or has another name now."""
        for name, port in self._ports.items():
            if port.index == index and name != unless:
                log.warning("bridge %s: interface %s is gone: its port waits for it", self._bridge.name, name)
                self._close(port)

    def _link_changed(self, port: Port, event: LinkChanged) -> None:
        if port.index != event.index:
            try:
                self._open(event.name, port)
            except InbandError as error:
                log.warning("bridge %s: port %s cannot be opened: %s", self._bridge.name, event.name, error)
                return
            log.info("bridge %s: interface %s is port %d", self._bridge.name, event.name, port.number)
        self._bridge.link_changed(port.number, link_up=event.up and event.running, mac=event.mac)


def _exists(interface: str) -> bool:
    try:
        socket.if_nametoindex(interface)
    except OSError:
        return False
    return True
