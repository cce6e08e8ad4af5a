"""Nodes with an IP stack and nothing to switch: hosts, routers, and the machine of a controller.

What a researcher sees of them: ``ping``, ``pinging`` and ``interface``. Addresses are text here, as people write them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

from inband.errors import UsageError
from inband.sim.behaviour import Behaviour
from inband.sim.clock import Timer, VirtualClock
from inband.sim.controller import Channel, Controller, ControllerSession
from inband.sim.kernel import DEFAULT, Interface, Kernel
from inband.sim.link import Nic
from inband.sim.tcp import Connection
from inband.sim.tcp_host import TcpHost
from inband.vocabulary.addresses import Mac
from inband.vocabulary.numbers import OPENFLOW_PORT


def read_interface(text: str) -> IPv4Interface:
    """Read ``10.0.0.1/24``; raises UsageError."""
    try:
        return IPv4Interface(text)
    except ValueError:
        raise UsageError(f"{text!r} is not an address with its prefix length: write 10.0.0.1/24") from None


def read_address(text: str) -> IPv4Address:
    """Read ``10.0.0.1``; raises UsageError."""
    try:
        return IPv4Address(text)
    except ValueError:
        raise UsageError(f"{text!r} is not an IPv4 address: write 10.0.0.1") from None


class Host:
    """A host with one interface, or a router with as many as ``interface`` makes."""

    def __init__(self, clock: VirtualClock, name: str, new_mac: Callable[[], Mac], *, forwards: bool = False) -> None:
        self.name = name
        self.clock = clock
        self.kernel = Kernel(clock, forwards=forwards)
        self.tcp = TcpHost(self.kernel)
        self.new_mac = new_mac
        self._pings: dict[int, PingSeries] = {}
        self.kernel.on_echo_reply = self._echo_reply

    def interface(self, address: str, name: str | None = None) -> Interface:
        """Add an interface with this address."""
        interface = self.kernel.add_interface(name or f"{self.name}-eth{len(self.kernel.interfaces)}", self.new_mac())
        self.kernel.set_address(interface, read_interface(address))
        return interface

    def route(self, gateway: str) -> None:
        """Have a default route."""
        address = read_address(gateway)
        on_link = self.kernel.route_to(address)
        if on_link is None:
            raise UsageError(f"{self.name} cannot reach gateway {gateway}: no interface is in its network")
        self.kernel.add_route(DEFAULT, on_link.interface, address)

    @property
    def eth0(self) -> Interface:
        """The first interface."""
        return self.kernel.interfaces[0]

    def attach(self) -> Nic:
        """Where to link a host that has one interface; a router's interfaces are linked by their ``nic``."""
        return self.eth0.nic

    def pinging(self, destination: str, interval_s: float = 0.1) -> PingSeries:
        """Ping until the series is stopped."""
        series = PingSeries(self, len(self._pings) + 1, read_address(destination), interval_s)
        self._pings[series.number] = series
        series.send()
        return series

    def _echo_reply(self, _: IPv4Address, body: bytes) -> None:
        series = self._pings.get(int.from_bytes(body[:2], "big"))
        if series is not None:
            series.answered += 1


@dataclass(slots=True)
class PingSeries:
    """Echo requests at an interval; ``answered`` counts those that came back."""

    host: Host
    number: int
    destination: IPv4Address
    interval_s: float
    sent: int = 0
    answered: int = 0
    _timer: Timer | None = None

    def send(self) -> None:
        """Send one, and plan the next."""
        self.sent += 1
        self.host.kernel.ping(self.destination, struct.pack("!HH", self.number, self.sent & 0xFFFF) + bytes(56))
        self._timer = self.host.clock.call_later(self.interval_s, self.send)

    def stop(self) -> None:
        """Send no more."""
        if self._timer is not None:
            self._timer.cancel()


class ControllerHost:
    """A host on which a controller listens."""

    def __init__(self, host: Host, controller: Controller, port: int = OPENFLOW_PORT) -> None:
        self.name = host.name
        self.host = host
        self.controller = controller
        host.tcp.listen(port, self._accept)

    def attach(self) -> Nic:
        """The host's interface."""
        return self.host.attach()

    def behave(self, behaviour: Behaviour) -> None:
        """Behave otherwise from now on."""
        self.controller.behave(behaviour, self.host.clock.now)
        for connection in list(self.host.tcp.connections.values()):
            if isinstance(connection.user, _Service):
                connection.user.flush()

    def channel(self, datapath_id: int) -> Channel | None:
        """What the controller knows of a switch; None: it never came."""
        return self.controller.channels.get(datapath_id)

    def _accept(self, _: IPv4Address, connection: Connection) -> _Service:
        return _Service(self.host, self.controller, connection)


class _Service:
    """One switch's connection at the controller (``sim.tcp.ConnectionUser``)."""

    def __init__(self, host: Host, controller: Controller, connection: Connection) -> None:
        self._host = host
        self._connection = connection
        self._session: ControllerSession = controller.open(host.clock.now)
        self._timer: Timer | None = None

    def opened(self) -> None:
        self.flush()

    def received(self, data: bytes) -> None:
        trouble = self._session.receive(data, self._host.clock.now)
        if trouble is not None:
            self._host.tcp.abort(self._connection)
            self.closed(trouble)
            return
        self.flush()

    def closed(self, reason: str) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._session.close(self._host.clock.now, reason)

    def flush(self) -> None:
        """Write what waits, and plan what is due."""
        output = self._session.take_output()
        if output:
            self._host.tcp.send(self._connection, output)
        due = self._session.next_deadline()
        if due is None or (self._timer is not None and self._timer.due <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._host.clock.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._session.run(self._host.clock.now)
        self.flush()
