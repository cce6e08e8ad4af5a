"""NORMAL: a VLAN-aware learning switch, and what port configuration means to data."""

from __future__ import annotations

import pytest

from inband.flow.actions import Output, SetField, SetQueue
from inband.flow.fields import FIELDS
from inband.flow.match import Match
from inband.flow.ports import ALL, FLOOD, LOCAL, NORMAL, PortNo
from inband.pipeline.fdb import FdbKey
from inband.testing import packets
from inband.vocabulary.addresses import Mac
from inband.vocabulary.openflow import PortConfig
from tests.unit.pipeline.scene import P1, P2, P3, US, A, B, C, Scene, out


@pytest.fixture
def scene() -> Scene:
    """A switch whose controller says NORMAL to everything."""
    scene = Scene()
    scene.flow(Output(NORMAL))
    return scene


def test_an_unknown_destination_is_flooded_to_all_ports_but_the_one_it_came_from(scene: Scene) -> None:
    assert scene.actions(packets.tcp(src=A, dst=B)) == out(P2, P3, LOCAL)


def test_a_broadcast_is_flooded(scene: Scene) -> None:
    assert scene.actions(packets.arp_request(src=A), P2) == out(P1, P3, LOCAL)


def test_an_address_is_learned_from_what_its_host_sends(scene: Scene) -> None:
    first = scene.receive(packets.tcp(src=A, dst=B), P1)

    assert scene.fdb.take_changed() == {FdbKey(0, Mac.parse(A))}
    assert first.source == (FdbKey(0, Mac.parse(A)), P1)
    assert scene.actions(packets.tcp(src=B, dst=A), P2) == out(P1)


def test_a_known_address_teaches_nothing_new_and_the_decision_names_both_addresses(scene: Scene) -> None:
    scene.knows(A, P1)
    scene.fdb.take_changed()

    second = scene.receive(packets.tcp(src=A, dst=B), P1)

    assert not scene.fdb.has_changed
    assert second.cacheable
    assert set(second.fdb_keys) == {FdbKey(0, Mac.parse(A)), FdbKey(0, Mac.parse(B))}


def test_a_decision_says_whether_it_is_known_unicast_and_nothing_else(scene: Scene) -> None:
    scene.knows(B, P2)
    to_b, flooded = packets.tcp(src=A, dst=B), packets.tcp(src=A, dst=C)

    assert scene.receive(to_b, P1).is_known_unicast
    assert not scene.receive(flooded, P1).is_known_unicast

    scene.flow(Output(NORMAL), Output(P3), priority=2)
    assert not scene.receive(to_b, P1).is_known_unicast  # P3 gets it too
    scene.flow(SetField("eth_src", 1), Output(NORMAL), priority=3)
    assert scene.receive(to_b, P1).is_known_unicast
    scene.flow(SetQueue(1), Output(NORMAL), priority=3)
    assert not scene.receive(to_b, P1).is_known_unicast  # the queue is the port's
    scene.flow(Output(P2), priority=4)
    assert not scene.receive(to_b, P1).is_known_unicast  # right by chance, not by learning
    scene.configure(P2, PortConfig.NO_FWD)
    scene.flow(Output(NORMAL), Output(P3), priority=5)
    assert not scene.receive(to_b, P1).is_known_unicast  # only P3 gets it


@pytest.mark.parametrize("before", [None, P2])
def test_a_decision_that_is_another_one_by_what_its_packet_teaches_is_not_cached(
    scene: Scene, before: PortNo | None
) -> None:
    if before is not None:
        scene.knows(A, before)
    to_itself = packets.tcp(src=A, dst=A)

    first, second = scene.receive(to_itself, P1), scene.receive(to_itself, P1)

    assert first.actions == (out(P2) if before else out(P2, P3, LOCAL))
    assert not first.cacheable
    assert second.actions == ()
    assert second.cacheable


def test_nor_is_one_of_a_copy_that_was_sent_to_its_source_before_that_was_learned(scene: Scene) -> None:
    rewritten = SetField("eth_dst", int(Mac.parse(A)))
    scene.flow(rewritten, SetField("eth_src", 1, 1), Output(NORMAL), priority=2)
    assert scene.receive(packets.tcp(src=A, dst=B), P1).cacheable  # nothing is learned

    scene.flow(rewritten, Output(NORMAL), priority=3)
    first, second = (scene.receive(packets.tcp(src=A, dst=B), P1) for _ in range(2))

    assert (first.cacheable, second.cacheable) == (False, True)


def test_a_host_that_moves_is_followed(scene: Scene) -> None:
    scene.knows(A, P1)

    scene.receive(packets.tcp(src=A, dst=B), P3)

    assert scene.actions(packets.tcp(src=B, dst=A), P2) == out(P3)


def test_vlans_are_apart(scene: Scene) -> None:
    scene.knows(B, P2, vlan=5)

    assert scene.actions(packets.vlan(packets.tcp(src=A, dst=B), 5)) == out(P2)
    assert scene.actions(packets.vlan(packets.tcp(src=A, dst=B), 6)) == out(P2, P3, LOCAL)
    assert scene.actions(packets.tcp(src=A, dst=B)) == out(P2, P3, LOCAL)


def test_a_frame_for_a_host_on_the_port_it_came_from_is_dropped(scene: Scene) -> None:
    scene.knows(B, P1)

    answer = scene.receive(packets.tcp(src=A, dst=B), P1)

    assert answer.actions == ()
    assert answer.drop_reason == "the destination is on the port it came from"


@pytest.mark.parametrize("last", ["00", "02", "0f"])
def test_reserved_multicast_stays_on_its_link(scene: Scene, last: str) -> None:
    assert scene.actions(packets.ethernet(0x88CC, src=A, dst=f"01:80:c2:00:00:{last}")) == ()


def test_other_bridge_multicast_is_flooded(scene: Scene) -> None:
    assert scene.actions(packets.ethernet(0x88CC, src=A, dst="01:80:c2:00:00:10")) == out(P2, P3, LOCAL)


def test_a_multicast_source_is_not_learned(scene: Scene) -> None:
    scene.receive(packets.ethernet(0x0800, src="01:00:5e:00:00:01", dst=B))

    assert len(scene.fdb) == 0


def test_the_local_mac_address_is_on_local_whoever_claims_it(scene: Scene) -> None:
    scene.receive(packets.tcp(src=US, dst=B), P3)

    assert scene.actions(packets.tcp(src=A, dst=US), P1) == out(LOCAL)


def test_a_host_unheard_for_five_minutes_is_unknown(scene: Scene) -> None:
    scene.knows(B, P2, now=0.0)

    assert scene.actions(packets.tcp(src=A, dst=B), P1, 300.0) == out(P2)
    assert scene.actions(packets.tcp(src=A, dst=B), P1, 301.0) == out(P2, P3, LOCAL)


def test_a_cached_decisions_packets_keep_a_host_known(scene: Scene) -> None:
    decision = scene.receive(packets.tcp(src=A, dst=B), P1, 0.0)

    scene.pipeline.credit(decision, 10, 600, 250.0)

    assert scene.actions(packets.tcp(src=B, dst=A), P2, 400.0) == out(P1)


def test_a_decision_depends_on_port_vlan_and_both_addresses(scene: Scene) -> None:
    mask = scene.receive(packets.tcp(src=A, dst=B)).mask

    for name in ("in_port", "vlan_vid", "eth_src", "eth_dst"):
        assert FIELDS[name].get(mask) == FIELDS[name].all_ones
    assert FIELDS["tcp_dst"].get(mask) == 0


# --- port configuration -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [PortConfig.NO_RECV, PortConfig.PORT_DOWN])
def test_data_on_a_port_that_does_not_receive_is_dropped_before_it_teaches(scene: Scene, config: PortConfig) -> None:
    scene.configure(P1, config)

    answer = scene.receive(packets.tcp(src=A, dst=B), P1)

    assert answer.actions == ()
    assert answer.credits == ()
    assert len(scene.fdb) == 0


@pytest.mark.parametrize("config", [PortConfig.NO_FWD, PortConfig.PORT_DOWN])
def test_data_does_not_leave_by_a_port_that_does_not_forward(scene: Scene, config: PortConfig) -> None:
    scene.configure(P2, config)
    scene.knows(B, P2)

    assert scene.actions(packets.tcp(src=A, dst=B)) == ()
    assert scene.actions(packets.tcp(src=A, dst=C)) == out(P3, LOCAL)


def test_no_flood_keeps_floods_away_but_not_known_hosts(scene: Scene) -> None:
    scene.configure(P2, PortConfig.NO_FLOOD)
    scene.knows(B, P2)

    assert scene.actions(packets.tcp(src=A, dst=C)) == out(P3, LOCAL)
    assert scene.actions(packets.tcp(src=A, dst=B)) == out(P2)


@pytest.mark.parametrize(("port", "reached"), [(FLOOD, (P3, LOCAL)), (ALL, (P2, P3, LOCAL))])
def test_all_includes_ports_that_are_not_flooded(port: PortNo, reached: tuple[PortNo, ...]) -> None:
    scene = Scene()
    scene.flow(Output(port))
    scene.configure(P2, PortConfig.NO_FLOOD)

    assert scene.actions(packets.tcp()) == out(*reached)


def test_the_local_port_has_a_configuration_too(scene: Scene) -> None:
    scene.configure(LOCAL, PortConfig.NO_FWD)

    assert scene.actions(packets.tcp(src=A, dst=B)) == out(P2, P3)


def test_a_source_address_that_a_flow_wrote_moves_no_host(scene: Scene) -> None:
    scene.knows(C, P2)
    forged = SetField("eth_src", int(Mac.parse(C)))
    scene.flow(forged, Output(NORMAL), priority=9, match=Match.of(in_port=1))

    scene.receive(packets.tcp(src=A, dst=B), P1)

    assert scene.actions(packets.tcp(src=B, dst=C), P3) == out(P2)
