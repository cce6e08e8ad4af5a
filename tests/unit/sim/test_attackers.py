"""Hosts that lie about stations of control: no channel falls silent, and nobody else is told the lie past drop-all."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_interface

import pytest

from inband.controller.behaviour import DELETE_AND_DROP, FRIENDLY, Behaviour
from inband.datapath.wrappers import Faults
from inband.packet.arp import build_arp
from inband.packet.frame import Frame
from inband.packet.nd import build_neighbour_advertisement
from inband.sim import topologies
from inband.sim.host import Host
from inband.sim.topologies import IPV4, IPV6, Topology
from inband.testing import packets
from inband.vocabulary.addresses import BROADCAST, IpAddress, Mac
from inband.vocabulary.numbers import ARP_REPLY, ARP_REQUEST
from tests.unit.sim.scenes import SILENCE_S, come_up, silences

Lie = Callable[["Scene"], bytes]
"""Makes a frame of the attacker."""

ATTACK_S = 5.0
MOVED_S = 0.41
"""The longest silence of an honest move: 0.15 s for the old place to answer, and the next tries of TCP."""
FOUND_S = 1.0
"""The same where TCP has to notice it first."""
OWN = Mac(0x0200DEADBEEF)
"""A MAC address of the attacker's own."""


@dataclass
class Scene:
    """A network under a controller, an attacker and a host that hears what is flooded, both on the last switch."""

    made: Topology
    attacker: Host
    heard: list[bytes]
    sent: set[bytes] = field(default_factory=set)

    @property
    def got_through(self) -> int:
        """How many of the attacker's frames the other host heard."""
        return sum(frame in self.sent for frame in self.heard)

    @property
    def controller(self) -> IpAddress:
        """The controller's address."""
        return next(iter(self.made.controller.host.eth0.addresses))

    @property
    def controller_mac(self) -> Mac:
        """The controller's MAC address."""
        return self.made.controller.host.eth0.mac

    @property
    def switch_address(self) -> IpAddress:
        """An address of the last switch."""
        return next(iter(self.made.switches[-1].only.local.addresses))

    @property
    def switch_mac(self) -> Mac:
        """The MAC address of the last switch's LOCAL."""
        return self.made.switches[-1].only.local.mac

    def attack(self, lie: Lie, per_second: float, seconds: float = ATTACK_S) -> None:
        """Have the attacker send from now on."""
        for number in range(int(per_second * seconds)):
            self.made.net.at(self.made.net.now + number / per_second, lambda: self._send(lie(self)))

    def _send(self, frame: bytes) -> None:
        self.sent.add(frame)
        self.attacker.eth0.nic.transmit(Frame(frame))


def single(on: topologies.Addressing = IPV4) -> Topology:
    return topologies.row(1, on=on)


def row(on: topologies.Addressing = IPV4) -> Topology:
    return topologies.row(3, on=on)


def ring(on: topologies.Addressing = IPV4) -> Topology:
    return topologies.ring(3, on=on)


def scene(made: Topology, policy: Behaviour = DELETE_AND_DROP) -> Scene:
    """Bring a network up, under a controller with this policy."""
    net = made.net
    attacker, listener = net.host("attacker", "10.0.0.66/24"), net.host("listener", "10.0.0.67/24")
    for each in (attacker, listener):
        net.link(each, made.switches[-1])
    heard: list[bytes] = []
    listener.eth0.taps.append(heard.append)
    come_up(made)
    made.controller.behave(policy)
    net.run(3.0)
    heard.clear()
    return Scene(made, attacker, heard)


def stolen_reply(at: Scene) -> bytes:
    """The controller's own answer, as if it were here."""
    return arp(at, ARP_REPLY, at.controller_mac, to=BROADCAST)


def poisoned_reply(at: Scene) -> bytes:
    """A gratuitous answer: the controller's address is at another MAC address."""
    return arp(at, ARP_REPLY, OWN, to=BROADCAST)


def poisoned_request(at: Scene) -> bytes:
    """A gratuitous question that says so."""
    return arp(at, ARP_REQUEST, OWN, to=BROADCAST)


def to_the_switch(at: Scene) -> bytes:
    """The same lie, told to the switch alone."""
    return arp(at, ARP_REPLY, OWN, to=at.switch_mac)


def stolen_data(at: Scene) -> bytes:
    """A datagram with the controller's MAC address as its source."""
    return packets.udp("10.0.0.66", "10.0.0.67", src=str(at.controller_mac), dst=str(BROADCAST))


def arp(at: Scene, op: int, mac: Mac, *, to: Mac) -> bytes:
    spa, tpa = at.controller, at.switch_address
    assert isinstance(spa, IPv4Address)
    assert isinstance(tpa, IPv4Address)
    return build_arp(op, mac, spa, to, spa if to == BROADCAST else tpa, to, mac)


def stolen_switch(at: Scene) -> bytes:
    """A question for the controller with the addresses of the first switch."""
    return about_switch(at, at.made.switches[0].only.local.mac)


def poisoned_switch(at: Scene) -> bytes:
    """One that says that the first switch's IP address is at another MAC address."""
    return about_switch(at, OWN)


def about_switch(at: Scene, mac: Mac) -> bytes:
    spa, tpa = next(iter(at.made.switches[0].only.local.addresses)), at.controller
    assert isinstance(spa, IPv4Address)
    assert isinstance(tpa, IPv4Address)
    return build_arp(ARP_REQUEST, mac, spa, Mac(0), tpa, BROADCAST, mac)


def behind(at: Scene) -> bytes:
    """The same about the second switch, from which this switch is reached."""
    mac, spa, tpa = OWN, next(iter(at.made.switches[1].only.local.addresses)), at.controller
    assert isinstance(spa, IPv4Address)
    assert isinstance(tpa, IPv4Address)
    return build_arp(ARP_REQUEST, mac, spa, Mac(0), tpa, BROADCAST, mac)


def behind_stolen(at: Scene) -> bytes:
    """A question for the controller with the second switch's addresses."""
    return behind(at).replace(OWN.packed, at.made.switches[1].only.local.mac.packed)


def stolen_advertisement(at: Scene) -> bytes:
    """A neighbour advertisement in the controller's name, and from its MAC address."""
    return advertisement(at, at.controller_mac)


def poisoned_advertisement(at: Scene) -> bytes:
    """One that says that the controller is at another MAC address."""
    return advertisement(at, OWN)


def advertisement(at: Scene, mac: Mac) -> bytes:
    target = at.controller
    assert isinstance(target, IPv6Address)
    return build_neighbour_advertisement(target, target, mac)


IPV4_LIES: Iterable[Lie] = (stolen_reply, poisoned_reply, poisoned_request, to_the_switch, stolen_data)
IPV6_LIES: Iterable[Lie] = (stolen_advertisement, poisoned_advertisement)
each_network = pytest.mark.parametrize("lay", [single, row, ring])
each_pace = pytest.mark.parametrize("per_second", [0.2, 3.0, 10.0, 100.0])


@each_network
@each_pace
@pytest.mark.parametrize("lie", IPV4_LIES)
def test_a_lie_about_the_controller_costs_no_channel_and_reaches_no_host_past_drop_all(
    lie: Lie, per_second: float, lay: Callable[[], Topology]
) -> None:
    at = scene(lay())

    at.attack(lie, per_second)
    longest = silences(at.made, ATTACK_S + 1.0)

    assert max(longest.values()) <= SILENCE_S
    assert at.got_through == 0


@pytest.mark.parametrize("lay", [row, ring])
@each_pace
@pytest.mark.parametrize("lie", [stolen_switch, poisoned_switch, behind, behind_stolen])
def test_a_lie_about_another_switch_costs_no_channel(lie: Lie, per_second: float, lay: Callable[[], Topology]) -> None:
    at = scene(lay())

    at.attack(lie, per_second)
    longest = silences(at.made, ATTACK_S + 1.0)

    assert max(longest.values()) <= SILENCE_S


@pytest.mark.parametrize(("length", "victim", "attacked"), [(6, 2, 4), (8, 3, 5)])
@pytest.mark.parametrize("per_second", [3.0, 10.0, 100.0])
def test_a_host_across_a_long_ring_cannot_take_the_place_of_a_switch(
    per_second: float, length: int, victim: int, attacked: int
) -> None:
    made = topologies.ring(length)
    made.switches.append(made.switches.pop(attacked))  # where the hosts are put
    at = scene(made)
    taken, tpa = made.switches[victim].only.local, at.controller
    spa = next(iter(taken.addresses))
    assert isinstance(spa, IPv4Address)
    assert isinstance(tpa, IPv4Address)
    question = build_arp(ARP_REQUEST, taken.mac, spa, Mac(0), tpa, BROADCAST, taken.mac)
    places = made.switches[0].only.bridge.pipeline.places
    lapsed: list[float] = []

    def look() -> None:
        if places.station((4, int(spa))) is None:
            lapsed.append(made.net.now)

    at.attack(lambda _: question, per_second)
    for number in range(int(ATTACK_S / 0.01)):
        made.net.at(made.net.now + number * 0.01, look)
    longest = silences(made, ATTACK_S + 1.0)

    assert max(longest.values()) <= SILENCE_S
    assert not lapsed


@pytest.mark.parametrize("lay", [single, row])
@each_pace
@pytest.mark.parametrize("lie", IPV4_LIES)
def test_a_lie_that_the_controller_lets_pass_costs_no_channel(
    lie: Lie, per_second: float, lay: Callable[[], Topology]
) -> None:
    at = scene(lay(), FRIENDLY)

    at.attack(lie, per_second)
    longest = silences(at.made, ATTACK_S + 1.0)

    assert max(longest.values()) <= SILENCE_S


@each_network
@each_pace
@pytest.mark.parametrize("lie", IPV6_LIES)
def test_a_lie_about_the_controllers_ipv6_address_costs_no_channel(
    lie: Lie, per_second: float, lay: Callable[[topologies.Addressing], Topology]
) -> None:
    at = scene(lay(IPV6))

    at.attack(lie, per_second)
    longest = silences(at.made, ATTACK_S + 1.0)

    assert max(longest.values()) <= SILENCE_S
    assert at.got_through == 0


@each_network
@pytest.mark.parametrize("per_second", [3.0, 100.0, 1000.0])
@pytest.mark.parametrize("how", ["arp", "tcp", "all"])
def test_replayed_frames_of_the_controller_cost_no_channel(
    how: str, per_second: float, lay: Callable[[], Topology]
) -> None:
    at, kinds = scene(lay()), {"arp": [b"\x08\x06"], "tcp": [b"\x08\x00"], "all": [b"\x08\x06", b"\x08\x00"]}
    captured: list[bytes] = []
    at.made.net.links[0].taps.append(lambda sender, frame: captured.append(frame.data))
    for switch in at.made.switches:
        switch.host.kernel.interfaces[0].neighbours.forget()
    at.made.net.run(2.0)
    frames = itertools.cycle([data for data in captured if data[12:14] in kinds[how]])

    at.attack(lambda _: next(frames), per_second)
    longest = silences(at.made, ATTACK_S + 1.0)

    assert max(longest.values()) <= SILENCE_S


@each_network
@pytest.mark.parametrize("src", ["the controller's", "its own"])
@pytest.mark.parametrize("dst", ["the listener's", "broadcast", "unknown"])
def test_no_host_reaches_another_from_the_controllers_port(src: str, dst: str, lay: Callable[[], Topology]) -> None:
    at = scene(lay())
    listener = at.made.net.links[-1].one.mac
    sources = {"the controller's": at.controller_mac, "its own": at.attacker.eth0.mac}
    to = {"the listener's": listener, "broadcast": BROADCAST, "unknown": OWN}[dst]

    at.attack(
        lambda _: packets.tcp(str(at.controller), "10.0.0.67", 6653, 4000, src=str(sources[src]), dst=str(to)), 20.0
    )
    longest = silences(at.made, ATTACK_S + 1.0)

    assert at.got_through == 0
    assert max(longest.values()) <= SILENCE_S


def test_more_floods_at_once_than_can_be_remembered_end_with_the_host() -> None:
    at, numbers = scene(ring()), itertools.count()
    passing: list[Frame] = []
    between = [link for link in at.made.net.links if at.attacker.eth0.nic not in (link.one, link.two)]
    for link in between:
        link.spoil(Faults(delay_s=0.06))

    def call(_: Scene) -> bytes:
        number = next(numbers)
        src = f"02:5f:00:00:{number >> 8:02x}:{number & 255:02x}"
        return packets.tcp(f"10.0.{number >> 8}.{number & 255}", str(at.controller), 4000, 6653, src=src, dst=str(OWN))

    def hear(_: object, frame: Frame) -> None:
        if frame.data[6:8] == b"\x02\x5f":
            passing.append(frame)

    at.attack(call, 100_000.0, 0.08)
    longest = silences(at.made, 1.0)
    for link in between:
        link.taps.append(hear)
    at.made.net.run(0.5)

    assert max(longest.values()) <= SILENCE_S
    assert not passing


def test_a_switch_that_begins_to_use_ipv6_does_not_forget_what_was_proven() -> None:
    at = scene(single())
    switch = at.made.switches[0]

    switch.host.kernel.add_address(switch.only.local, ip_interface("fd00:a::1/64"))
    at.made.net.run(3.0)
    at.attack(stolen_reply, 10.0)
    longest = silences(at.made, ATTACK_S)

    assert max(longest.values()) <= SILENCE_S


def move(at: Scene, to: int, *, announces: bool) -> None:
    """Plug the controller into another port, of this switch; nothing says that the old one leads nowhere."""
    made = at.made
    made.net.links[0].spoil(Faults(loss=1.0))
    made.controller.host.eth0.nic.link = None
    made.net.link(made.controller, made.switches[to])
    if announces:
        made.controller.host.kernel.announce(made.controller.host.eth0)


@each_network
@pytest.mark.parametrize("to", [0, -1])
def test_a_controller_that_moves_and_says_so_is_found_at_once(to: int, lay: Callable[[], Topology]) -> None:
    at = scene(lay())

    move(at, to, announces=True)
    longest = silences(at.made, 3.0)

    assert max(longest.values()) <= MOVED_S


@each_network
@pytest.mark.parametrize("to", [0, -1])
def test_a_controller_that_moves_and_says_nothing_is_found(to: int, lay: Callable[[], Topology]) -> None:
    at = scene(lay())

    move(at, to, announces=False)
    longest = silences(at.made, 5.0)

    assert max(longest.values()) <= FOUND_S


@pytest.mark.parametrize("lay", [single, row])
def test_a_controller_moves_while_a_host_says_to_be_it(lay: Callable[[], Topology]) -> None:
    at = scene(lay())
    at.attack(stolen_reply, 10.0)
    at.made.net.run(2.0)

    move(at, 0, announces=True)
    longest = silences(at.made, 3.0)

    assert max(longest.values()) <= FOUND_S


@each_network
@pytest.mark.parametrize("latency_s", [1e-6, 1e-3])
def test_a_host_that_answers_for_the_controller_from_the_start_delays_channels_and_keeps_none(
    latency_s: float, lay: Callable[[], Topology]
) -> None:
    made = lay()
    made.net.link(made.net.host("impostor", "10.0.0.100/24"), made.switches[-1], latency_s=latency_s)

    made.net.start()

    assert made.net.run_until(lambda: made.net.are_up(made.controller), 10.0)


@each_network
def test_a_host_that_answered_while_the_controller_was_gone_does_not_keep_its_place(
    lay: Callable[[], Topology],
) -> None:
    at = scene(lay())
    at.made.net.link(at.made.net.host("impostor", "10.0.0.100/24"), at.made.switches[-1])
    at.made.net.links[0].spoil(Faults(loss=1.0))
    at.made.net.run(8.0)

    at.made.net.links[0].spoil(Faults())
    at.made.net.run(30.0)

    assert max(silences(at.made, 3.0).values()) <= SILENCE_S
