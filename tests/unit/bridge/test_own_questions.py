"""The questions that a bridge asks in its own name: from which address it asks for a neighbour."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address

import pytest

from inband.agent.switch import Identity
from inband.bridge.bridge import Bridge, BridgeSettings
from inband.bridge.place_keeper import PLACE_AGE_S
from inband.control import events as ev
from inband.control.next_hop import PLACES_S
from inband.datapath.simulated import SimulatedDatapath
from inband.flow.fields import key_fields
from inband.flow.ports import LOCAL, PortNo
from inband.host.events import AddressChanged, NeighbourChanged, NextHop, NextHopFound
from inband.packet.frame import Frame
from inband.packet.parse import parse
from inband.pipeline.fdb import FdbKey
from inband.testing import packets
from inband.vocabulary.addresses import Mac, parse_ip
from lab.silent_host import SilentHost

INDEX, MAC = 7, Mac.parse("02:00:00:00:00:01")
REMOTE = parse_ip("2001:db8::9")
UPLINK = PortNo(1)


@dataclass
class Clock:
    """Time as the test wants it."""

    now: float = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def host() -> SilentHost:
    return SilentHost()


@pytest.fixture
def bridge(clock: Clock, host: SilentHost) -> Bridge:
    """One uplink, in-band control on, a controller on the local port's link whose MAC nobody knows."""
    datapath = SimulatedDatapath(clock=clock)
    bridge = Bridge(BridgeSettings("br0", Identity(1)), datapath, host, clock, lambda: None)
    datapath.client = bridge
    for number, name in ((LOCAL, "br0"), (UPLINK, "eth0")):
        datapath.add_port(number, name)
        bridge.add_port(number, name, MAC)
    bridge.set_local(INDEX, MAC)
    bridge.control(ev.InBandEnabled(True))
    bridge.control(ev.RemotesChanged(added=[ev.Remote(REMOTE, 6653, ev.RemoteKind.CONTROLLER)]))
    bridge.host_event(NextHopFound(REMOTE, NextHop(INDEX, "br0", REMOTE)))
    return bridge


def senders(bridge: Bridge, clock: Clock, seconds: float) -> set[IPv6Address]:
    """Return whom the questions of the next seconds come from."""
    sent = sent_within(bridge, clock, seconds)
    return {IPv6Address(key_fields(parse(frame.data, port))["ipv6_src"]) for port, frame, _ in sent}


def sent_within(bridge: Bridge, clock: Clock, seconds: float) -> list[tuple[PortNo, Frame, int | None]]:
    """Let time pass; return what the datapath has sent."""
    assert isinstance(bridge.datapath, SimulatedDatapath)
    end = clock.now + seconds
    while (due := bridge.next_deadline()) is not None and due <= end:
        clock.now = max(clock.now, due)
        bridge.run()
    return bridge.datapath.take_sent()


def asked_for(bridge: Bridge, clock: Clock, seconds: float) -> list[IPv6Address]:
    """Return whom the questions of the next seconds ask for."""
    keys = (key_fields(parse(frame.data, port)) for port, frame, _ in sent_within(bridge, clock, seconds))
    return [IPv6Address(key["ipv6_nd_target"]) for key in keys if "ipv6_nd_target" in key]


def test_nothing_is_asked_from_an_address_that_may_be_somebody_elses(
    bridge: Bridge, host: SilentHost, clock: Clock
) -> None:
    host.say(bridge, AddressChanged(INDEX, parse_ip("2001:db8::1"), 64, present=True, tentative=True))

    assert senders(bridge, clock, 3.0) == set()


def test_an_address_is_asked_from_as_soon_as_it_is_known_to_be_ours(
    bridge: Bridge, host: SilentHost, clock: Clock
) -> None:
    own = parse_ip("2001:db8::1")
    host.say(bridge, AddressChanged(INDEX, own, 64, present=True, tentative=True))
    host.say(bridge, AddressChanged(INDEX, own, 64, present=True))

    assert senders(bridge, clock, 0.0) == {own}


def test_the_address_in_the_network_of_who_is_asked_for_is_asked_from(
    bridge: Bridge, host: SilentHost, clock: Clock
) -> None:
    for own in ("fe80::1", "2001:db8::1", "2001:db8:1::1"):
        host.say(bridge, AddressChanged(INDEX, parse_ip(own), 64, present=True))
    senders(bridge, clock, 0.0)

    assert senders(bridge, clock, 2.0) == {parse_ip("2001:db8::1")}


def test_a_next_hop_whose_place_is_lost_is_asked_for_and_one_that_is_heard_is_not_asked_again(
    bridge: Bridge, host: SilentHost, clock: Clock
) -> None:
    own, mac = parse_ip("2001:db8::1"), Mac.parse("02:00:00:00:00:09")
    host.say(bridge, AddressChanged(INDEX, own, 64, present=True))
    host.say(bridge, NeighbourChanged(INDEX, REMOTE, mac))
    asked_for(bridge, clock, 1.0)
    clock.now = 1.0
    segment = packets.tcp(str(own), str(REMOTE), 40000, 6653, src=str(MAC), dst=str(mac))

    bridge.upcall(LOCAL, Frame(segment), parse(segment, LOCAL))
    lost = asked_for(bridge, clock, 0.0)
    bridge.fdb.learn(FdbKey(0, mac), UPLINK, clock.now)
    heard = asked_for(bridge, clock, PLACE_AGE_S)
    silent = asked_for(bridge, clock, PLACES_S)

    assert lost == [REMOTE]
    assert heard == []
    assert silent == [REMOTE]
