"""A switch's channel when its controller is not there, comes late, goes away, or talks rubbish."""

from __future__ import annotations

from ipaddress import IPv4Interface, ip_address

import pytest

from inband.control.name_events import KnownAddress
from inband.openflow.reconnect import State
from inband.sim.host import Host
from inband.sim.network import Network
from inband.sim.switch import SwitchHost
from inband.switch.outgoing import OutgoingConnection
from inband.switch.transport import Transport


def with_host(net: Network) -> tuple[Host, SwitchHost]:
    """A switch whose controller's machine is there, and no controller on it."""
    host = net.host("c", "10.0.0.100/24")
    switch = net.switch("s", "10.0.0.1/24", controllers=["10.0.0.100"])
    net.link(host, switch)
    net.start()
    return host, switch


def the_connection(switch: SwitchHost) -> OutgoingConnection:
    (connection,) = switch.only.managed.connections.outgoing
    return connection


class Rude:
    """A controller that says something else than OpenFlow, or nothing."""

    def __init__(self, host: Host, words: bytes) -> None:
        self.connections = list[Transport]()
        self._words = words
        host.tcp.listeners[6653] = lambda: self

    def opened(self, transport: Transport) -> None:
        self.connections.append(transport)
        transport.write(self._words)

    def received(self, data: bytes) -> None:
        """Not interested."""

    def set_writable(self, is_writable: bool) -> None:
        """Not interested."""

    def closed(self, reason: str) -> None:
        """Not interested."""


def test_a_refusal_is_told_and_dialling_goes_on_with_back_off() -> None:
    net = Network()
    _, switch = with_host(net)

    net.run(60.0)

    reconnect = the_connection(switch).reconnect
    assert reconnect.last_error == "connection refused"
    assert 8 <= reconnect.attempts <= 20


def test_a_controller_that_starts_late_is_found_by_the_next_attempt() -> None:
    net = Network()
    host, _ = with_host(net)
    net.run(60.0)
    rude = Rude(host, b"")

    net.run(8.5)

    assert rude.connections


@pytest.mark.parametrize("words", [b"GET / HTTP/1.0\r\n\r\n", bytes(64), b"\x04\x00\x00\x04\x00\x00\x00\x01", b""])
def test_a_controller_that_does_not_speak_openflow_is_left_and_dialled_again(words: bytes) -> None:
    net = Network()
    host, switch = with_host(net)
    rude = Rude(host, words)

    net.run(30.0)

    assert 2 <= len(rude.connections) <= 40
    assert the_connection(switch).reconnect.last_error


def test_without_a_route_to_the_controller_the_switch_waits_for_one() -> None:
    net = Network()
    controller = net.controller("c", "10.0.0.100/24")
    switch = net.switch("s", controllers=["10.0.0.100"])
    net.link(controller, switch)
    net.start()
    net.run(30.0)
    before = the_connection(switch).reconnect.last_error

    switch.host.kernel.add_address(switch.only.local, IPv4Interface("10.0.0.1/24"))
    net.run(0.5)

    assert before == "network is unreachable"
    assert net.are_up(controller)


def test_a_controller_that_is_taken_away_is_hung_up_on() -> None:
    net = Network()
    controller = net.controller("c", "10.0.0.100/24")
    switch = net.switch("s", "10.0.0.1/24", controllers=["10.0.0.100"])
    net.link(controller, switch)
    net.start()
    net.run(1.0)

    switch.set_controllers()
    net.run(1.0)

    assert not net.channels(controller)["s"].is_up
    assert switch.only.managed.connections.outgoing == []
    assert switch.only.letters == "abcl"


def test_a_controller_that_falls_silent_is_probed_and_then_left() -> None:
    net = Network()
    controller = net.controller("c", "10.0.0.100/24")
    switch = net.switch("s", "10.0.0.1/24", controllers=["10.0.0.100"])
    uplink = net.link(controller, switch)
    net.start()
    net.run(1.0)

    uplink.cut()
    net.run(6.0)
    probing = the_connection(switch).reconnect.state
    net.run(6.0)

    assert probing is State.IDLE
    assert not the_connection(switch).is_connected
    assert "no answer" in str(the_connection(switch).reconnect.last_error)


def test_a_process_that_is_killed_while_it_dials_does_not_try_the_next_address() -> None:
    net = Network()
    switch = net.switch("s", controllers=["ctl.example"], dns_servers=["10.0.0.53"])
    known = (KnownAddress(ip_address(f"10.0.0.{number}"), 1000.0, None) for number in (100, 101))
    switch.remember({"ctl.example": tuple(known)})
    wire = switch.only.local.nic.link
    assert wire is not None
    net.start()  # the first address is unreachable, which the process is about to hear

    switch.kill()
    switch.host.kernel.add_address(switch.only.local, IPv4Interface("10.0.0.1/24"))
    net.run(60.0)

    assert wire.frames == 0
    assert switch.host.tcp.connections == {}
