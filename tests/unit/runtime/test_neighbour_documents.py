"""What people and scripts are told of neighbours."""

from __future__ import annotations

from dataclasses import replace

from inband.bridge.bridge import Bridge
from inband.runtime.neighbour_documents import document, lines
from inband.sim import topologies
from tests.unit.sim.test_switches_behind import behind


def test_each_port_has_a_line_with_who_is_there() -> None:
    made = topologies.row(2)
    made.net.start()
    made.net.run(3.0)
    near, far = (switch.only.bridge for switch in made.switches)

    text = "\n".join(lines(document(far)))
    (port,) = document(far)["ports"]

    head = f"br0: switch {made.switches[1].only.datapath_id:016x}; no network-key; topology changes: 0 told"
    assert text.startswith(head)
    assert f"port 1 (s2-1): two-way {near.neighbours.fabric.switch:016x} port 2; 10.0.0.1; for" in text  # type: ignore[union-attr]
    assert "hello each 20 ms, carries control; round trip 0.1" in text
    assert (port["state"], port["addresses"], port["neighbour_port"]) == ("two-way", ["10.0.0.1"], 2)
    assert port["counters"]["alarms"] == 0
    assert port["remark"] is None


def test_a_port_without_a_neighbour_and_a_lost_one_are_told_apart() -> None:
    made = topologies.row(2)
    made.net.start()
    made.net.run(3.0)

    made.net.links[1].cut()
    ports = document(made.switches[0].only.bridge)["ports"]

    assert [(port["state"], port["reason"]) for port in ports] == [("unknown", ""), ("lost", "link down")]
    assert [port["neighbour"] is None for port in ports] == [True, False]


def test_where_it_is_off_that_is_said() -> None:
    made = topologies.row(1)
    (switch,) = made.switches
    switch.configure(replace(switch.config.bridge("br0"), neighbours=False))
    made.net.start()
    made.net.run(1.0)

    found = document(switch.only.bridge)

    assert lines(found) == ["br0: neighbours are off"]
    assert found["enabled"] is False


def test_what_other_switches_need_is_listed_with_who_told_of_it() -> None:
    made = behind()
    made.start(b"k" * 32)
    made.net.run(2.0)
    bridge = made.switches[1].only.bridge

    text = text_of(bridge)
    made.net.links[-3].cut()
    made.net.run(1.0)
    cut_off = text_of(bridge)

    assert "  needs: 2 told; 6 of other switches let pass\n" in text
    assert "    controller tcp:10.0.0.101:6653 by port 1, 1 hop\n" in text
    assert "    next hop 10.0.0.253 by port 2, 1 hop\n" in text
    assert "    controller tcp:10.0.0.101:6653 by port 1, 1 hop; told no longer, for 59 s yet\n" in cut_off


def test_needs_that_are_too_many_are_said() -> None:
    made = topologies.row(2)
    switch = made.switches[0]
    for each in made.switches:
        each.set_network_keys(b"k" * 32)
    switch.set_controllers(*(f"10.0.0.{number}:{port}" for number in range(50, 120) for port in (6653, 6654)))
    made.net.start()
    made.net.run(1.0)

    assert "needs: 128 told, " in text_of(switch.only.bridge)
    assert " are too many to be told; " in text_of(switch.only.bridge)


def text_of(bridge: Bridge) -> str:
    """What people see of it."""
    return "".join(line + "\n" for line in lines(document(bridge)))
