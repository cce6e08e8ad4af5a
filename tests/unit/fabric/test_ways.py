"""Fabrics of a network with a key tell each other distances: all of them, only changes, whatever is lost."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from random import Random

import pytest

from inband.fabric import events as ev
from inband.fabric.distances import MAX_OF_NEIGHBOUR, Distance, Distances, Station
from inband.fabric.events import LinkState
from inband.fabric.hello import MAX_WANTED, Change
from inband.fabric.keys import NetworkKeys
from inband.fabric.ways import LISTEN_S, OTHERS_AFTER_S, Ways
from inband.flow.ports import PortNo
from inband.vocabulary.addresses import Mac
from tests.unit.fabric.pair import P1, P2, Row, Wires, wires_of

KEY = NetworkKeys.of(b"k" * 32)
CONTROLLER = Station((4, 0x0A000064), Mac(0x020000000064))


def local(at: int) -> Station:
    return Station((4, 0x0A000001 + at), Mac(0x020000001000 + at))


def ring(count: int) -> Wires:
    return wires_of((at, (at + 1) % count) for at in range(count))


def network(count: int, wires: Wires | None = None, *, loss: float = 0.0) -> Row:
    """Switches that know all distances; the first one has the controller behind a port."""
    row = Row(count, keys=[KEY] * count, wires=wires)
    row.loss = loss
    for at in range(count):
        introduce(row, at)
    row.run(LISTEN_S + 1.5)
    return row


def introduce(row: Row, at: int) -> None:
    mac, address = local(at).mac, ip_address(local(at).address[1])
    row.tell(at, ev.LocalChanged(mac, (address,)))
    row.tell(at, ev.StationsProven(frozenset({CONTROLLER} if at == 0 else ())))


def ways(row: Row, at: int) -> Ways:
    found = row.fabrics[at].ways
    assert found is not None
    return found


def port_to(row: Row, at: int, station: Station) -> PortNo | None:
    route = ways(row, at).distances.routes.get(station)
    return None if route is None else route.port


def metrics(row: Row, station: Station) -> list[int | None]:
    routes = [ways(row, at).distances.routes.get(station) for at in range(len(row.fabrics))]
    return [None if route is None else route.distance.metric for route in routes]


def updates(row: Row) -> int:
    return sum(link.counters.updates_sent for fabric in row.fabrics for link in fabric.links.values())


def break_link(row: Row, one: int, two: int, wires: Wires, *, up: bool = False) -> None:
    """Both ends see it at once."""
    for (at, port), (to, _) in wires.items():
        if (at, to) in ((one, two), (two, one)):
            (row.dead.discard if up else row.dead.add)((at, to))
            row.tell(at, ev.PortChanged(port, up, Mac(0x020000000000 + at * 16 + port)))


def test_every_switch_knows_how_far_each_station_is() -> None:
    row = network(5)

    assert metrics(row, CONTROLLER) == [1, 2, 3, 4, 5]
    assert metrics(row, local(2)) == [2, 1, 0, 1, 2]
    assert port_to(row, 3, local(4)) == P2


def test_without_a_key_nothing_is_told() -> None:
    row = Row(2)
    introduce(row, 0)
    row.run(5.0)

    assert row.fabrics[0].ways is None
    assert updates(row) == 0


def test_a_network_that_is_quiet_tells_nothing() -> None:
    row = network(5)
    before = updates(row)

    row.run(30.0)

    assert updates(row) == before


def test_a_change_is_told_a_bounded_number_of_times() -> None:
    wires = ring(16)
    row = network(16, wires)
    before = updates(row)

    break_link(row, 3, 4, wires)
    row.run(2.0)

    assert updates(row) - before <= 30 * 32


def test_who_has_an_alternative_takes_it_in_the_same_moment() -> None:
    wires = ring(4)
    row = network(4, wires)
    route = ways(row, 2).distances.routes[CONTROLLER]
    first = 1 if wires[2, PortNo(route.port or 0)][0] == 1 else 3

    break_link(row, 2, first, wires)

    assert len(route.alternatives) == 1
    assert port_to(row, 2, CONTROLLER) == route.alternatives[0]


def test_in_a_ring_all_have_another_way_within_milliseconds() -> None:
    wires = ring(8)
    row = network(8, wires)

    break_link(row, 2, 3, wires)
    row.run(0.01)

    assert metrics(row, CONTROLLER) == [1, 2, 3, 6, 5, 4, 3, 2]
    assert metrics(row, local(3)) == [5, 6, 7, 0, 1, 2, 3, 4]


def numbers(row: Row, *stations: Station) -> list[int]:
    """What their own switches say of stations: the highest of each."""
    found = []
    for station in stations:
        routes = [ways(row, at).distances.routes.get(station) for at in range(len(row.fabrics))]
        found.append(max(route.distance.number for route in routes if route is not None))
    return found


def raised(row: Row, stations: Iterable[Station], before: Iterable[int]) -> list[bool]:
    """Of which stations the number is higher than before."""
    return [now > was for now, was in zip(numbers(row, *stations), before, strict=True)]


def test_at_first_only_numbers_are_raised_that_someone_needs() -> None:
    wires = ring(8)
    row = network(8, wires)
    stations = [CONTROLLER, *map(local, range(8))]
    before = numbers(row, *stations)

    break_link(row, 2, 3, wires)
    row.run(OTHERS_AFTER_S - 0.05)
    at_first = raised(row, stations, before)
    row.run(0.2)

    # Those that one of the ends reached by the other one, and whose way round is no shorter.
    assert at_first == [True, True, True, True, True, True, True, False, False]
    assert None not in [*metrics(row, CONTROLLER), *metrics(row, local(3))]
    assert all(raised(row, stations, before)), "the others, later"


def test_who_has_lost_a_way_raises_its_own_number_before_anyone_asks() -> None:
    wires = ring(8)
    row = network(8, wires)
    stations = [CONTROLLER, *map(local, range(8))]
    before = numbers(row, *stations)

    break_link(row, 0, 1, wires)

    at_first = raised(row, stations, before)
    assert at_first[:3] == [True, True, True], "those of both ends, while no one else has heard of it"
    raised_once = numbers(row, *stations[:3])
    row.run(0.02)
    assert numbers(row, *stations[:3]) == raised_once, "not again, when the other end asks for them"


def test_where_everybody_else_has_another_way_only_the_ends_numbers_are_raised_at_first() -> None:
    wires = wires_of((one, other) for one in range(4) for other in range(one))
    row = network(4, wires)
    stations = [CONTROLLER, *map(local, range(4))]
    before = numbers(row, *stations)

    break_link(row, 1, 2, wires)
    row.run(OTHERS_AFTER_S - 0.05)

    assert raised(row, stations, before) == [False, False, True, True, False], "LOCALs of the ends, for the other end"


def test_all_numbers_are_raised_at_once_where_a_neighbour_fell_silent() -> None:
    wires = ring(8)
    row = network(8, wires)
    stations = [CONTROLLER, *map(local, range(8))]
    before = numbers(row, *stations)

    row.dead |= {(2, 3), (3, 2)}
    row.carry_control()  # each second a hello: the loss is noticed in three
    while row.state(2, P2) is LinkState.TWO_WAY:
        row.run(0.01)
    row.run(0.02)

    assert all(raised(row, stations, before))


def test_a_switch_that_says_of_too_many_that_they_are_out_of_reach_has_all_raised() -> None:
    row = network(2)
    link = row.link(1)
    changes = [Change(9, 9, number, 1) for number in (1, 2, 3)]

    link.pass_on(changes[0], tuple(range(MAX_WANTED)), row.now)
    assert link.next_hello(2, row.now).wanted == tuple(range(MAX_WANTED))
    link.pass_on(changes[1], (MAX_WANTED,), row.now)
    assert link.next_hello(2, row.now).wanted is None, "more than a hello can say"
    assert link.next_hello(2, row.now).changes == tuple(changes[:2])
    assert link.next_hello(2, row.now).wanted == (MAX_WANTED,), "the first one was told three times"
    link.pass_on(changes[2], None, row.now)
    assert link.next_hello(2, row.now).wanted is None


def test_a_link_that_is_back_is_used_again() -> None:
    wires = ring(8)
    row = network(8, wires)
    break_link(row, 2, 3, wires)
    row.run(1.0)

    break_link(row, 2, 3, wires, up=True)
    row.run(0.1)

    assert metrics(row, CONTROLLER) == [1, 2, 3, 4, 5, 4, 3, 2]


def test_what_is_cut_off_has_no_way_and_gets_one_again() -> None:
    row = network(4)
    wires = {(1, P2): (2, P1), (2, P1): (1, P2)}

    break_link(row, 1, 2, wires)
    row.run(1.0)
    cut = metrics(row, CONTROLLER)
    break_link(row, 1, 2, wires, up=True)
    row.run(1.0)

    assert cut == [1, 2, None, None]
    assert metrics(row, CONTROLLER) == [1, 2, 3, 4]


def test_a_switch_that_starts_listens_first_and_is_not_gone_by() -> None:
    wires = ring(3)
    row = network(3, wires)

    row.restart(1, KEY)
    introduce(row, 1)
    row.run(LISTEN_S - 0.5)
    listening = (port_to(row, 1, CONTROLLER), metrics(row, local(1)))
    row.run(2.0)

    assert listening == (None, [1, 0, 1]), "it is known, and knows no one"
    assert metrics(row, CONTROLLER) == [1, 2, 2]


def test_a_station_that_moves_is_found_where_it_is() -> None:
    row = network(5)

    row.tell(0, ev.StationsProven(frozenset()))
    row.tell(4, ev.StationsProven(frozenset({CONTROLLER})))
    row.run(0.5)

    assert metrics(row, CONTROLLER) == [5, 4, 3, 2, 1]


@pytest.mark.parametrize("seed", range(6))
def test_random_networks_that_lose_messages_and_links_never_have_a_loop(seed: int) -> None:
    random, count = Random(seed), 7
    links = {(at, random.randrange(at)) for at in range(1, count)} | {(0, 6), (2, 5), (1, 4)}
    wires = wires_of(sorted(links))
    row = network(count, wires, loss=0.1)
    row.after = lambda: follow_all(row, wires)

    for _ in range(12):
        one, two = random.choice(sorted(links))
        break_link(row, one, two, wires)
        row.run(random.random() * 0.2)
        break_link(row, one, two, wires, up=True)
        row.run(random.random() * 0.2)
        if random.random() < 0.2:
            row.restart(at := random.randrange(1, count), KEY)
            introduce(row, at)
            row.run(random.random())
    row.loss = 0.0
    row.run(LISTEN_S + 8.0)

    assert None not in metrics(row, CONTROLLER)
    assert all(None not in metrics(row, local(at)) for at in range(count))


def follow_all(row: Row, wires: Wires) -> None:
    """The dumb twin: follow every chain of next hops."""
    for station in (CONTROLLER, *map(local, range(len(row.fabrics)))):
        for start in range(len(row.fabrics)):
            at, seen = start, {start}
            while (port := port_to(row, at, station)) is not None:
                at = wires[at, port][0]
                assert at not in seen, f"a loop to {station} by {seen}"
                seen.add(at)


def test_a_neighbour_that_tells_of_too_many_is_bounded_and_the_rest_is_counted() -> None:
    distances: Distances[Station] = Distances()
    stations = [Station((4, number), Mac(number)) for number in range(MAX_OF_NEIGHBOUR + 10)]

    distances.hear(P1, [(station, Distance(1, 1)) for station in stations])

    assert (distances.records, distances.refused) == (MAX_OF_NEIGHBOUR, 10)
    assert len(distances.routes) == MAX_OF_NEIGHBOUR


def test_stations_without_a_way_make_room_for_others() -> None:
    distances: Distances[Station] = Distances()
    stations = [Station((4, number), Mac(number)) for number in range(MAX_OF_NEIGHBOUR)]
    distances.hear(P1, [(station, Distance(1, 0xFFFF)) for station in stations])

    distances.hear(P1, [(CONTROLLER, Distance(1, 1))])

    assert distances.refused == 0
    assert CONTROLLER in distances.routes


@pytest.mark.parametrize("prefers_latest", [False, True])
def test_a_nearer_way_that_missed_two_raises_of_the_number_is_left_if_that_is_wanted(*, prefers_latest: bool) -> None:
    distances: Distances[Station] = Distances(prefers_latest=prefers_latest)
    distances.hear(P1, [(CONTROLLER, Distance(1, 1))])
    distances.hear(P2, [(CONTROLLER, Distance(2, 3))])
    assert distances.routes[CONTROLLER].port == P1, "its word may come in a moment"

    distances.hear(P2, [(CONTROLLER, Distance(7, 3))])
    assert distances.routes[CONTROLLER].port == (P2 if prefers_latest else P1)

    distances.hear(P1, [(CONTROLLER, Distance(7, 1))])
    assert distances.routes[CONTROLLER].port == P1


def test_numbers_of_stations_that_nobody_tells_of_any_more_take_no_memory() -> None:
    distances: Distances[Station] = Distances(prefers_latest=True)
    distances.listen(listens=True)
    for number in range(3):
        distances.hear(P1, [(Station((4, number), Mac(number)), Distance(2, 1))])
    assert len(distances.numbers) == 3

    distances.lose(P1)
    assert not distances.numbers
