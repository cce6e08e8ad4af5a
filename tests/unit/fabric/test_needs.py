"""Needs pass from neighbour to neighbour, die out with the switch that had them, and never keep each other alive."""

from __future__ import annotations

import pytest

from inband.fabric import events as ev
from inband.fabric.distances import Distance
from inband.fabric.hello import MAX_BYTES, frame, update_kind
from inband.fabric.keys import NetworkKeys
from inband.fabric.need import Need, NeedKind, decode, encode
from inband.fabric.needs import HOLD_S, MAX_HOPS, MAX_IN_FORCE, MAX_OF_NEIGHBOUR, MAX_OWN, Needs
from inband.fabric.update import MAX_RECORD_BYTES, Update, size_of
from inband.vocabulary.addresses import Mac
from inband.vocabulary.name_hash import name_hash
from tests.unit.fabric.pair import P2, Row
from tests.unit.fabric.test_ways import KEY, break_link, ring

MET_S = 0.2
UPDATE = Update(
    *(1, 2, 3, 4, 5, 6, 7, 8, 9),
    (
        (Need(NeedKind.CONTROLLER, (4, 0x0A000064), 6653), Distance(10, 11)),
        (Need(NeedKind.CONTROLLER, (6, 1 << 120), 6653, uses_tls=True), Distance(10, 0)),
        (Need(NeedKind.NEXT_HOP, (6, 5)), Distance(12, 0xFFFF)),
        (Need(NeedKind.CLIENT, (0, 0x020000000001)), Distance(1, 1)),
        (Need(NeedKind.SERVER, (4, 53)), Distance(1, 1)),
        (Need(NeedKind.NAME, (0, name_hash("ctl.example"))), Distance(1, 1)),
    ),
)


def controller(number: int) -> Need:
    return Need(NeedKind.CONTROLLER, (4, 0x0A000064 + number), 6653)


def hop(number: int) -> Need:
    return Need(NeedKind.NEXT_HOP, (4, 0x0A000100 + number))


def network(count: int, *, is_ring: bool = False, loss: float = 0.0, keys: NetworkKeys | None = KEY) -> Row:
    """Switches each of which has a controller of its own."""
    row = Row(count, keys=[keys] * count, wires=ring(count) if is_ring else None)
    row.loss = loss
    for at in range(count):
        row.tell(at, ev.NeedsChanged((controller(at),)))
    row.run(MET_S)
    return row


def needs(row: Row, at: int) -> Needs:
    found = row.fabrics[at].needs
    assert found is not None
    return found


def in_force(row: Row, at: int) -> dict[Need, int]:
    """By need, how many hops away it is."""
    return {need: word.hops for need, word in needs(row, at).in_force.items()}


def told(row: Row, at: int) -> set[Need]:
    """What a switch tells others at present."""
    return set(needs(row, at).distances.routes)


def test_all_hear_of_all_within_a_moment_and_then_nothing_is_said() -> None:
    row = network(5)
    sent = row.sent
    row.run(20.0)
    idle = row.sent - sent

    assert [in_force(row, at) for at in range(5)] == [
        {controller(other): abs(at - other) for other in range(5) if other != at} for at in range(5)
    ]
    assert all(link.counters.updates_sent < 40 for fabric in row.fabrics for link in fabric.links.values())
    assert idle <= 20 * 5 * 2 + 20


def test_without_a_key_nothing_is_told() -> None:
    row = network(2, keys=None)
    row.run(5.0)

    assert row.fabrics[0].needs is None
    assert not any(link.counters.updates_sent for fabric in row.fabrics for link in fabric.links.values())


def test_a_need_that_is_no_more_is_told_no_longer_and_holds_for_a_while() -> None:
    row = network(3)

    row.tell(0, ev.NeedsChanged(()))
    row.run(MET_S)
    is_told, holds = told(row, 2), in_force(row, 2)
    row.run(HOLD_S)

    assert controller(0) not in is_told
    assert controller(0) in holds
    assert controller(0) not in in_force(row, 2)
    assert controller(1) in in_force(row, 2)


@pytest.mark.parametrize("seed", range(3))
def test_a_dead_switch_s_need_is_kept_alive_by_no_one_in_a_ring(seed: int) -> None:
    wires = ring(6)
    row = network(6, is_ring=True, loss=0.1 * seed)

    break_link(row, 0, 1, wires)
    break_link(row, 0, 5, wires)
    row.run(1.0 + seed)

    assert all(controller(0) not in told(row, at) for at in range(1, 6))
    row.run(HOLD_S + 5.0)
    assert all(controller(0) not in in_force(row, at) for at in range(1, 6))


def test_two_that_start_anew_do_not_keep_a_dead_need_alive_for_each_other() -> None:
    wires = ring(6)
    row = network(6, is_ring=True)

    break_link(row, 0, 1, wires)
    break_link(row, 0, 5, wires)
    row.restart(2, KEY)
    row.restart(3, KEY)
    row.run(5.0)

    assert all(controller(0) not in told(row, at) for at in range(1, 6))


def test_who_starts_anew_is_heard_again_at_once() -> None:
    row = network(4)

    for _ in range(3):
        row.restart(0, KEY)
        row.tell(0, ev.NeedsChanged((controller(0),)))
        row.run(4.0)

        assert all(controller(0) in told(row, at) for at in range(4))
        assert needs(row, 3).in_force[controller(0)].until is None


def test_a_need_that_several_have_is_one_and_does_not_raise_numbers_without_end() -> None:
    row = network(4, is_ring=True)
    for at in range(4):
        row.tell(at, ev.NeedsChanged((controller(9),)))
    row.run(2.0)
    sent = sum(link.counters.updates_sent for fabric in row.fabrics for link in fabric.links.values())
    row.run(20.0)

    assert sum(link.counters.updates_sent for fabric in row.fabrics for link in fabric.links.values()) == sent
    row.tell(0, ev.NeedsChanged(()))
    row.run(MET_S)
    assert controller(9) in in_force(row, 0)
    row.run(2.0)
    assert needs(row, 0).in_force[controller(9)].until is None


def test_a_link_that_breaks_costs_no_need_anything() -> None:
    wires = ring(8)
    row = network(8, is_ring=True)

    break_link(row, 0, 1, wires)
    row.run(3.0)

    assert in_force(row, 1)[controller(0)] == 7
    assert needs(row, 1).in_force[controller(0)].until is None


def test_needs_are_bounded_of_each_switch_and_in_all() -> None:
    row = network(8)
    for at in range(8):
        hops = tuple(hop(200 * at + number) for number in range(MAX_OWN + 5))
        row.tell(at, ev.NeedsChanged((controller(at), *hops)))
    row.run(5.0)

    assert needs(row, 0).untold == 6
    assert sum(need.kind is NeedKind.NEXT_HOP for need in in_force(row, 0)) == MAX_IN_FORCE
    assert all(controller(at) in in_force(row, 0) for at in range(1, 8))
    assert needs(row, 0).refused > 0

    for at in range(2, 8):
        row.tell(at, ev.NeedsChanged(()))
    row.run(HOLD_S + 5.0)
    assert len(in_force(row, 0)) == MAX_OWN
    assert needs(row, 0).refused == needs(row, 0).distances.refused


def test_a_neighbour_that_tells_of_too_many_needs_is_named() -> None:
    row = network(2)
    distances = needs(row, 1).distances

    distances.set_own({hop(number): 0 for number in range(MAX_OF_NEIGHBOUR + 1)})
    row.run(5.0)

    assert needs(row, 0).distances.records == MAX_OF_NEIGHBOUR
    assert row.link(0, P2).remark == "a neighbour tells of more needs than the 2048 that are kept"


def test_no_need_comes_from_farther_than_it_may() -> None:
    row = network(MAX_HOPS + 3)
    row.run(2.0)

    assert max(in_force(row, 0).values()) == MAX_HOPS
    assert controller(MAX_HOPS + 1) not in in_force(row, 0)


def test_a_message_that_is_written_is_read() -> None:
    assert decode(encode(UPDATE)) == UPDATE
    assert decode(encode(UPDATE) + bytes(20)) == UPDATE
    assert update_kind(frame(encode(UPDATE), Mac(1))) == encode(UPDATE)[5]


def test_records_of_other_kinds_and_impossible_ones_are_skipped() -> None:
    body = bytearray(encode(UPDATE))
    record, first = size_of(UPDATE.records[0][0]), len(body) - 6 * size_of(UPDATE.records[0][0])
    body[first] = 99
    body[first + record + 1] = 5
    body[first + 3 * record + 1] = 4

    assert decode(bytes(body)).records == (UPDATE.records[2], *UPDATE.records[4:])


def test_a_whole_message_of_needs_fits_every_link() -> None:
    records = (UPDATE.records[0],) * (MAX_RECORD_BYTES // size_of(UPDATE.records[0][0]))

    assert len(frame(KEY.sign(encode(Update(1, 2, 3, 4, 5, 6, 7, records=records)), Mac(1)), Mac(1))) <= MAX_BYTES
