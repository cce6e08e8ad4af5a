"""Nodes with an IP stack and nothing to switch: hosts, routers, and the machine of a controller.

What a researcher sees of them: ``pinging``, ``interface`` and ``route``. Addresses are text here, as people write them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_interface

from inband.controller.behaviour import Behaviour
from inband.controller.controller import Channel, Controller
from inband.errors import UsageError
from inband.sim.clock import Timer, VirtualClock
from inband.sim.interface import Interface
from inband.sim.kernel import DEFAULT, Kernel
from inband.sim.link import Nic
from inband.sim.tcp_host import TcpHost
from inband.switch.config import IpInterface
from inband.vocabulary.addresses import IpAddress, Mac, parse_ip
from inband.vocabulary.numbers import OPENFLOW_PORT


def read_interface(text: str) -> IpInterface:
    """Read ``10.0.0.1/24`` or ``2001:db8::1/64``; raises UsageError."""
    try:
        return ip_interface(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is not an address with its prefix length: write 10.0.0.1/24 or 2001:db8::1/64"
        ) from None


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")] if text else []


class Host:
    """A host with one interface, or a router with as many as ``interface`` makes."""

    def __init__(self, clock: VirtualClock, name: str, new_mac: Callable[[], Mac], *, forwards: bool = False) -> None:
        self.name = name
        self.clock = clock
        self.kernel = Kernel(clock, forwards=forwards)
        self.tcp = TcpHost(self.kernel)
        self.new_mac = new_mac
        self._pings: list[PingSeries] = []
        self.kernel.on_echo_reply = self._echo_reply

    def interface(self, addresses: str = "", name: str = "", *, detects_duplicates: bool = False) -> Interface:
        """Add an interface with an address, or several with commas between."""
        name = name or f"{self.name}-eth{len(self.kernel.interfaces)}"
        interface = self.kernel.add_interface(name, self.new_mac(), detects_duplicates=detects_duplicates)
        for text in _listed(addresses):
            self.kernel.add_address(interface, read_interface(text))
        return interface

    def route(self, gateways: str) -> None:
        """Have a default route over a gateway, or several of different versions of IP with commas between."""
        for gateway in map(parse_ip, _listed(gateways)):
            on_link = self.kernel.route_to(gateway)
            if on_link is None:
                raise UsageError(f"{self.name} cannot reach gateway {gateway}: no interface is in its network")
            self.kernel.add_route(DEFAULT[gateway.version], on_link.interface, gateway)

    @property
    def eth0(self) -> Interface:
        """The first interface."""
        return self.kernel.interfaces[0]

    def attach(self) -> Nic:
        """Where to link a host that has one interface; a router's interfaces are linked by their ``nic``."""
        return self.eth0.nic

    def pinging(self, destination: str, interval_s: float = 0.1) -> PingSeries:
        """Ping until the series is stopped."""
        series = PingSeries(self, len(self._pings), parse_ip(destination), interval_s)
        self._pings.append(series)
        series.send()
        return series

    def _echo_reply(self, body: bytes) -> None:
        number = int.from_bytes(body[:2], "big")
        if number < len(self._pings):
            self._pings[number].answered += 1


@dataclass(slots=True)
class PingSeries:
    """Echo requests at an interval; ``answered`` counts those that came back."""

    host: Host
    number: int
    destination: IpAddress
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
        self._port = port
        self.start()

    def start(self) -> None:
        """Listen, as from the beginning."""
        self.host.tcp.listeners[self._port] = self.controller.accept

    def stop(self) -> None:
        """End the controller's process: hang up, and listen no more."""
        self.host.tcp.listeners.pop(self._port, None)
        self.controller.hang_up()

    def attach(self) -> Nic:
        """The host's interface."""
        return self.host.attach()

    def behave(self, behaviour: Behaviour) -> None:
        """Behave otherwise from now on."""
        self.controller.behave(behaviour)

    def channel(self, datapath_id: int) -> Channel | None:
        """What the controller knows of a switch; None: it never came."""
        return self.controller.channels.get(datapath_id)
