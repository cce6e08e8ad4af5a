"""Advice that knows the ports: which is down, and that an address is on one of them."""

from __future__ import annotations

from inband.control.destinations import RemoteStatus
from inband.control.endpoints import Endpoint
from inband.runtime.advice import PortsKnown, way_advice
from inband.vocabulary.addresses import parse_ip

CONTROLLER = parse_ip("192.0.2.1")


def _status(interface: str = "br0") -> RemoteStatus:
    return RemoteStatus(Endpoint(CONTROLLER, 6653), ("controller",), CONTROLLER, None, interface, None)


def test_a_port_that_is_down_is_named() -> None:
    advice = way_advice(CONTROLLER, {CONTROLLER: _status()}, PortsKnown(down=["port 1 (eth1)"]))

    assert advice is not None
    assert "port 1 (eth1) is down" in advice


def test_a_next_hop_on_an_interface_that_is_a_port_is_told_where_addresses_belong() -> None:
    advice = way_advice(CONTROLLER, {CONTROLLER: _status("eth1")}, PortsKnown(of={"eth1": "br0"}))

    assert advice is not None
    assert "eth1 is a port of br0" in advice
    assert "inband adopt" in advice
