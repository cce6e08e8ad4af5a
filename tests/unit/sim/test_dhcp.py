"""T7 and what belongs to it: an address by DHCP for LOCAL, whatever the flow table says, and only its own replies."""

from __future__ import annotations

from ipaddress import IPv4Address
from random import Random

import pytest

from inband.controller.behaviour import DELETE_AND_DROP, HOSTILE, MUTE, Behaviour
from inband.datapath.wrappers import Faults
from inband.flow.actions import ApplyActions, Output
from inband.flow.ports import CONTROLLER, PortNo
from inband.flow.priority import OpenFlowPriority
from inband.openflow.messages import FlowMod
from inband.pipeline.lease_servers import DOUBT_FIRST_S, LeaseServer
from inband.sim import topologies
from inband.sim.dhcp import ACK, BOOTREPLY, NOWHERE, DhcpServer, build, read
from inband.sim.topologies import Topology
from inband.testing import packets
from inband.vocabulary.addresses import Mac
from inband.vocabulary.openflow import FlowModCommand
from tests.unit.sim.scenes import SILENCE_S, UP_S, silences

_EVERYTHING_UP = FlowMod(
    FlowModCommand.ADD, priority=OpenFlowPriority(0xFFFF), instructions=(ApplyActions((Output(CONTROLLER),)),)
)
ALL_TO_CONTROLLER = Behaviour("everything to the controller", lambda _: (_EVERYTHING_UP,), 0.5)


def test_a_switch_without_an_address_gets_one_and_connects_within_a_second() -> None:
    made, server = topologies.address_by_dhcp()
    switch = made.switches[0]
    made.net.start()
    made.net.run(5.0)

    switch.get_address()
    began = made.net.now
    is_up = made.net.run_until(lambda: made.net.are_up(made.controller), 10)

    assert is_up
    assert made.net.now - began <= UP_S
    assert list(server.leases) == [switch.only.local.mac]


@pytest.mark.parametrize("behaviour", [MUTE, HOSTILE, ALL_TO_CONTROLLER], ids=lambda behaviour: behaviour.name)
def test_a_lease_is_had_again_whatever_the_flow_table_says(behaviour: Behaviour) -> None:
    made, _ = topologies.address_by_dhcp()
    switch = made.switches[0]
    made.net.start()
    switch.get_address()
    made.net.run(1.0)
    made.controller.behave(behaviour)
    made.net.run(1.0)

    local = switch.only.local
    switch.host.kernel.remove_address(local, *local.addresses)
    switch.get_address()
    made.net.run(1.0)

    assert local.addresses
    assert max(silences(made, 5.0).values()) <= SILENCE_S


def test_spoilt_and_lost_messages_cost_time_only() -> None:
    made, _ = topologies.address_by_dhcp(seed=4)
    switch = made.switches[0]
    made.net.links[0].spoil(Faults(corrupt=0.5, loss=0.2))
    made.net.start()

    switch.get_address()
    has_lease = made.net.run_until(lambda: bool(switch.only.local.addresses), 300)

    assert has_lease
    assert [str(address) for address in switch.only.local.addresses.values()] == ["10.0.0.10/24"]


def test_replies_for_others_do_not_reach_local_past_a_drop_flow() -> None:
    made, server = topologies.address_by_dhcp()
    switch = made.switches[0]
    made.net.start()
    client = switch.get_address()
    made.net.run(1.0)
    made.controller.behave(DELETE_AND_DROP)
    made.net.run(1.0)

    for _ in range(3):
        server.reply(Mac(0x020000004242), ACK)
        made.net.run(0.1)

    assert client.seen_for_others == 0


def test_a_message_survives_the_wire_and_rubbish_is_none() -> None:
    whole, random = build(BOOTREPLY, Mac(1), NOWHERE, {53: b"\x05", 1: b"\xff\xff\xff\x00"}), Random(2)

    assert read(whole) == (Mac(1), NOWHERE, {53: b"\x05", 1: b"\xff\xff\xff\x00"})
    assert all(read(whole[:end]) is None for end in range(240))
    for _ in range(200):
        spoilt = bytearray(whole[: random.randrange(240, len(whole) + 1)])
        spoilt[random.randrange(len(spoilt))] = random.randrange(256)
        read(bytes(spoilt))


@pytest.mark.parametrize("mask", [b"", b"\xff\xff\xff", b"\xff\x00\xff\x00"], ids=bytes.hex)
def test_a_lease_without_a_true_mask_is_none(mask: bytes) -> None:
    made, server = topologies.address_by_dhcp()
    local = made.switches[0].only.local
    made.net.start()
    made.switches[0].get_address()
    reply = build(BOOTREPLY, local.mac, IPv4Address("10.0.0.99"), {53: ACK, 1: mask})

    for tap in list(local.taps):
        tap(packets.udp(src_port=67, dst_port=68, payload=reply))
    taken_at_once = dict(local.addresses)
    made.net.run(5.0)

    assert not taken_at_once
    assert server.leases[local.mac] in {address.ip for address in local.addresses.values()}


def with_a_quicker_server() -> Topology:
    """A switch that is connected by a lease, and then a host on another port that answers DHCP sooner; drop-all."""
    made, _ = topologies.address_by_dhcp()
    switch, net = made.switches[0], made.net
    rogue = net.host("rogue", "10.0.0.66/24")
    net.link(rogue, switch, latency_s=1e-6)
    net.start()
    switch.get_address()
    assert net.run_until(lambda: net.are_up(made.controller), 10)
    DhcpServer(rogue, "10.0.0.200")
    made.controller.behave(DELETE_AND_DROP)
    net.run(1.0)
    return made


def ask_again(made: Topology, seconds: float) -> list[str]:
    """Begin anew without an address; which one there is after so long."""
    switch, local = made.switches[0], made.switches[0].only.local
    switch.host.kernel.remove_address(local, *local.addresses)
    switch.get_address()
    made.net.run(seconds)
    return [str(each) for each in local.addresses]


def test_a_server_whose_lease_led_to_the_controller_is_preferred_to_a_quicker_one() -> None:
    made = with_a_quicker_server()

    addresses = ask_again(made, 1.0)

    assert addresses == ["10.0.0.10"]
    assert max(silences(made, 3.0).values()) <= SILENCE_S


def test_another_server_is_heard_when_that_one_is_gone() -> None:
    made = with_a_quicker_server()
    made.net.links[0].spoil(Faults(loss=1.0))

    assert ask_again(made, 2.0) == []
    made.net.run(3.0)

    assert [str(each) for each in made.switches[0].only.local.addresses] == ["10.0.0.200"]


def beside_a_quicker_server_of_another_network(rogues: int = 1) -> Topology:
    """A switch without an address, and hosts that answer DHCP sooner than the controller's machine, which they lack."""
    made, _ = topologies.address_by_dhcp()
    for number in range(rogues):
        rogue = made.net.host(f"rogue{number}", f"10.{number + 1}.0.66/24")
        made.net.link(rogue, made.switches[0], latency_s=1e-6)
        DhcpServer(rogue, f"10.{number + 1}.0.200")
    made.net.start()
    made.switches[0].get_address()
    made.net.run(1.0)
    return made


@pytest.mark.parametrize("rogues", [1, 3])
def test_a_lease_that_leads_to_no_controller_is_left_for_another_servers(rogues: int) -> None:
    made = beside_a_quicker_server_of_another_network(rogues)
    first = [str(each) for each in made.switches[0].only.local.addresses]

    is_up = made.net.run_until(lambda: made.net.are_up(made.controller), rogues * (DOUBT_FIRST_S + 2))

    assert first[0].endswith(".0.200")
    assert first != ["10.0.0.10"]
    assert is_up
    assert [str(each) for each in made.switches[0].only.local.addresses] == ["10.0.0.10"]


def test_the_server_that_an_earlier_run_knew_is_preferred_from_the_start() -> None:
    made, _ = topologies.address_by_dhcp()
    rogue = made.net.host("rogue", "10.1.0.66/24")
    made.net.link(rogue, made.switches[0], latency_s=1e-6)
    DhcpServer(rogue, "10.1.0.200")
    made.net.start()
    made.switches[0].only.bridge.leases.remember(int(IPv4Address("10.0.0.100")), PortNo(1))

    made.switches[0].get_address()
    is_up = made.net.run_until(lambda: made.net.are_up(made.controller), UP_S)

    assert is_up


def test_a_lease_stays_while_no_controller_answers_and_other_servers_are_of_the_same_network() -> None:
    made, _ = topologies.address_by_dhcp()
    made.controller.stop()
    second = made.net.host("second", "10.0.0.101/24")
    made.net.link(second, made.switches[0])
    DhcpServer(second, "10.0.0.200")
    made.net.start()
    made.switches[0].get_address()
    asked: list[LeaseServer] = []
    made.switches[0].only.bridge.leases.ask_anew = asked.append

    made.net.run(100.0)

    assert made.switches[0].only.local.addresses
    assert not asked
