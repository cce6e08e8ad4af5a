"""The map in networks of fabrics: everyone knows everyone, only changes are told, and lies and restarts end."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from inband.fabric import description
from inband.fabric import events as ev
from inband.fabric.description import ControlWay, DescribedLink, Description
from inband.fabric.keys import NetworkKeys
from inband.fabric.map_message import NodeRecord
from inband.fabric.network_map import KEEP_S, LOOK_S, MAX_NODES, NetworkMap
from inband.fabric.update import Update
from inband.flow.ports import PortNo
from inband.vocabulary.addresses import Mac
from tests.unit.fabric.pair import P1, P2, Row, Wires, wires_of

KEY = NetworkKeys.of(b"k" * 32)
SOON_S = 2.0


def ring(count: int) -> Wires:
    return wires_of((at, (at + 1) % count) for at in range(count))


def network(count: int, wires: Wires | None = None, *, loss: float = 0.0) -> Row:
    row = Row(count, keys=[KEY] * count, wires=wires)
    row.loss = loss
    for at in range(count):
        introduce(row, at)
    row.run(SOON_S + 10 * loss)
    return row


def introduce(row: Row, at: int, *, connected: bool = False) -> None:
    row.tell(at, ev.LocalChanged(Mac(0x020000001000 + at), (ip_address(0x0A000001 + at),)))
    row.tell(at, ev.ControlDescribed(f"s{at}", (ControlWay(ip_address("10.0.0.100"), connected, 1),)))


def network_map(row: Row, at: int) -> NetworkMap:
    found = row.fabrics[at].map
    assert found is not None
    return found


def known(row: Row, at: int) -> dict[int, Description]:
    return {each: description.decode(record.body) for each, record in network_map(row, at).records.items()}


def told(row: Row) -> int:
    return sum(link.counters.updates_sent for fabric in row.fabrics for link in fabric.links.values())


def cut(row: Row, wires: Wires, one: int, two: int, *, up: bool = False) -> None:
    """Both ends see it."""
    for (at, port), (to, _) in wires.items():
        if {at, to} == {one, two}:
            (row.dead.discard if up else row.dead.add)((at, to))
            row.tell(at, ev.PortChanged(port, up, Mac(0x020000000000 + at * 16 + port)))


def test_everyone_knows_how_all_describe_themselves() -> None:
    row = network(5, ring(5))

    maps = [known(row, at) for at in range(5)]

    assert all(each == maps[0] for each in maps)
    assert maps[0].keys() == {1, 2, 3, 4, 5}
    assert maps[0][3] == Description(
        "s2",
        (ip_address("10.0.0.3"),),
        (DescribedLink(1, 2, 2), DescribedLink(2, 4, 1)),
        (ControlWay(ip_address("10.0.0.100"), False, 1),),
    )


def test_nothing_is_told_while_nothing_changes_and_a_change_in_a_few_messages() -> None:
    row = network(5, ring(5))
    row.run(5.0)
    first = told(row)

    row.run(30.0)
    idle = told(row) - first
    introduce(row, 2, connected=True)
    row.run(SOON_S)

    assert idle == 0
    assert all(known(row, at)[3].ways[0].is_connected for at in range(5))
    assert told(row) - first <= 4 * 5, "once over each link and direction, and as many answers"


def test_a_link_that_is_lost_is_told_by_both_ends_until_it_is_back() -> None:
    wires = ring(5)
    row = network(5, wires)

    cut(row, wires, 2, 3)
    row.run(SOON_S)
    lost = [[link.is_up for link in known(row, 0)[switch].links] for switch in (3, 4)]
    cut(row, wires, 2, 3, up=True)
    row.run(SOON_S)

    assert lost == [[True, False], [False, True]]
    assert all(link.is_up for each in known(row, 0).values() for link in each.links)


def test_what_is_lost_on_the_way_comes_in_the_end() -> None:
    wires = ring(6)
    row = network(6, wires, loss=0.3)

    cut(row, wires, 1, 2)
    row.run(20.0)
    row.loss = 0.0
    row.run(5.0)

    assert all(known(row, at) == known(row, 0) for at in range(6))


def test_a_switch_that_starts_anew_outbids_what_it_told_before() -> None:
    row = network(3)
    for number in range(5):
        introduce(row, 2, connected=bool(number % 2))
        row.run(1.0)

    row.restart(2, KEY)
    row.tell(2, ev.ControlDescribed("new", ()))
    row.run(5.0)

    assert [known(row, at)[3].name for at in range(3)] == ["new"] * 3
    assert not network_map(row, 2).is_doubled


def test_two_switches_of_one_id_far_from_each_other_are_noticed_and_tell_little() -> None:
    row = Row(5, ids=[7, 2, 3, 4, 7], keys=[KEY] * 5)
    for at in range(5):
        introduce(row, at)
    row.run(120.0)
    first = told(row)

    row.run(120.0)

    assert network_map(row, 0).is_doubled
    assert network_map(row, 4).is_doubled
    assert told(row) - first < 200


def test_who_is_out_of_reach_is_forgotten_after_a_while() -> None:
    row = network(4)
    cut(row, row_wires(4), 1, 2)
    row.run(SOON_S)
    before = set(known(row, 0))

    row.run(KEEP_S + 2 * LOOK_S)

    assert before == {1, 2, 3, 4}
    assert (set(known(row, 0)), set(known(row, 3))) == ({1, 2}, {3, 4})


def row_wires(count: int) -> Wires:
    row = {(at, P2): (at + 1, P1) for at in range(count - 1)}
    return row | {two: one for one, two in row.items()}


def test_without_a_key_no_one_says_anything() -> None:
    row = Row(2)
    for at in range(2):
        introduce(row, at)

    row.run(SOON_S)

    assert [fabric.map for fabric in row.fabrics] == [None, None]
    assert told(row) == 0


@pytest.mark.parametrize("count", [MAX_NODES, MAX_NODES + 50])
def test_so_many_are_kept_and_the_others_are_refused_and_counted(count: int) -> None:
    network, port = NetworkMap(1), PortNo(1)
    network.meet(port, 9)
    records = tuple((1000 + at, NodeRecord(1, b"")) for at in range(count))

    network.hear(port, Update(2, 9, 1, 1, 5, 1, 1, records=records), 1.0)

    assert (len(network.records), network.refused) == (MAX_NODES, count - MAX_NODES)
