"""Segments of channels by all ways between neighbours: where they leave, and what becomes of their copies."""

from __future__ import annotations

import pytest

from inband.flow.ports import LOCAL, PortNo
from inband.pipeline.duplicate_guard import BURST
from inband.pipeline.storm import WINDOW_S
from inband.pipeline.trace import Trace
from inband.testing import packets
from tests.unit.pipeline.scene import P1, P2, P3, US, A, B, Scene, out

SEGMENT = packets.tcp(src=A, dst=B)


def scene_with(b_on: PortNo, *switches: PortNo, letter: str = "i") -> Scene:
    """B is the controller's host; there are neighbours of the key on these ports."""
    scene = Scene()
    scene.in_band(letter=letter)
    scene.knows(B, b_on)
    scene.pipeline.places.trust(frozenset(switches), frozenset(switches))
    scene.pipeline.duplicates.is_on = True
    return scene


def test_a_segment_leaves_by_all_neighbours_but_where_it_came_from_and_is_not_cached() -> None:
    scene = scene_with(P2, P1, P2, P3)

    sent = scene.receive(SEGMENT, P1, 1.0)

    assert set(sent.actions) == set(out(P2, P3))
    assert not sent.cacheable


def test_copies_that_come_later_end_and_what_comes_again_later_passes() -> None:
    scene = scene_with(P2, P1, P2, P3)
    scene.receive(SEGMENT, P1, 1.0)

    assert scene.actions(SEGMENT, P3, 1.01) == ()
    assert scene.actions(SEGMENT, P1, 1.01) == ()
    assert scene.pipeline.counters["duplicate_dropped"] == 2
    assert set(scene.actions(SEGMENT, P1, 1.1 + WINDOW_S)) == set(out(P2, P3))


@pytest.mark.parametrize("place", [P3, LOCAL])
def test_where_the_destination_is_not_behind_a_neighbour_it_goes_there_alone(place: PortNo) -> None:
    segment = SEGMENT if place == P3 else packets.tcp(src=A, dst=US)
    scene = scene_with(P3, P1, P2)

    assert scene.actions(segment, P1, 1.0) == out(place)
    assert scene.actions(segment, P2, 1.01) == ()


def test_from_a_neighbour_that_is_our_way_there_it_goes_on_to_the_others() -> None:
    assert set(scene_with(P1, P1, P2, P3).actions(SEGMENT, P1, 1.0)) == set(out(P2, P3))


def test_hosts_get_none_of_it() -> None:
    assert scene_with(P2, P1, P2).actions(SEGMENT, P1, 1.0) == out(P2)


def test_what_is_no_segment_of_a_channel_goes_by_its_place_alone() -> None:
    assert scene_with(P2, P1, P2, P3, letter="o").actions(SEGMENT, P1, 1.0) == out(P2)
    scene = scene_with(P2, P1, P2, P3)
    scene.pipeline.duplicates.is_on = False
    assert scene.actions(SEGMENT, P1, 1.0) == out(P2)


def test_more_than_the_pace_goes_by_the_best_way_and_is_cached() -> None:
    scene = scene_with(P2, P1, P2, P3)
    for number in range(int(BURST)):
        scene.receive(packets.tcp(src=A, dst=B, payload=number.to_bytes(4, "big")), P1, 1.0)

    more = scene.receive(packets.tcp(src=A, dst=B, payload=b"more"), P1, 1.0)

    assert more.actions == out(P2)
    assert more.cacheable


def test_a_trace_spends_and_remembers_nothing() -> None:
    scene = scene_with(P2, P1, P2, P3)

    for _ in range(2):
        assert set(scene.receive(SEGMENT, P1, 1.0, trace=Trace()).actions) == set(out(P2, P3))
