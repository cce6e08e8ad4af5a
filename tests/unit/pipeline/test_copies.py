"""Frames of control to one station that come round: by another port than before, and only then, they are dropped."""

from __future__ import annotations

import pytest

from inband.flow.actions import Output
from inband.flow.ports import LOCAL, NORMAL, PortNo
from inband.pipeline.copies import CACHED_S, CLAIM_S
from inband.pipeline.fdb import FdbKey
from inband.pipeline.storm import MAX_FRAMES, MAX_RINGS, RING_S, WINDOW_S, SentOn
from inband.pipeline.trace import Trace
from inband.testing import packets
from inband.vocabulary.addresses import Mac
from inband.vocabulary.instant import Instant
from tests.unit.pipeline.scene import P1, P2, P3, US, A, B, Scene, out

CLAIMS = [packets.arp_reply(src=A, dst=B), packets.neighbour_advertisement(src=A, dst=B)]
ACK = packets.tcp(src=A, dst=B)


def scene_with_b_on_3() -> Scene:
    scene = Scene()
    scene.in_band(letter="o")
    scene.knows(B, P3)
    return scene


@pytest.mark.parametrize("frame", [*CLAIMS, ACK])
def test_what_was_sent_on_is_dropped_when_it_comes_by_another_port(frame: bytes) -> None:
    scene = scene_with_b_on_3()
    scene.receive(frame, P1, 1.0)

    copy = scene.receive(frame, P2, 1.0 + 0.9 * CLAIM_S)

    assert copy.actions == ()
    assert not copy.cacheable
    assert scene.fdb.lookup(FdbKey(0, Mac.parse(A)), 1.1) == P1
    assert scene.pipeline.counters == {"came_round": 1}


@pytest.mark.parametrize("frame", [*CLAIMS, ACK])
def test_what_comes_again_by_the_same_port_passes(frame: bytes) -> None:
    scene = scene_with_b_on_3()
    scene.receive(frame, P1, 1.0)

    assert scene.actions(frame, P1, 1.001) == out(P3)


@pytest.mark.parametrize(("frame", "after_s"), [*((claim, CLAIM_S) for claim in CLAIMS), (ACK, WINDOW_S)])
def test_the_same_answer_to_a_later_question_passes_by_whatever_port(frame: bytes, after_s: float) -> None:
    scene = scene_with_b_on_3()
    scene.receive(frame, P1, 1.0)

    assert scene.actions(frame, P2, 1.001 + after_s) == out(P3)


def test_what_was_flooded_is_not_sent_to_a_place_that_was_learned_since() -> None:
    scene = Scene()
    scene.in_band(letter="o")
    scene.receive(ACK, P1, 1.0)
    scene.knows(B, P3, now=1.0)

    assert scene.actions(ACK, P2, 1.01) == ()


def test_what_was_sent_to_a_place_is_not_flooded_when_that_is_forgotten() -> None:
    scene = scene_with_b_on_3()
    scene.receive(ACK, P1, 1.0)
    scene.fdb.flush_port(P3)

    assert scene.actions(ACK, P2, 1.01) == ()


def test_another_frame_of_the_same_sender_passes_by_another_port() -> None:
    scene = scene_with_b_on_3()
    scene.receive(packets.tcp(src=A, dst=B, sequence=1), P1, 1.0)

    assert scene.actions(packets.tcp(src=A, dst=B, sequence=2), P2, 1.01) == out(P3)


def test_what_local_sent_goes_no_further_when_it_comes_back() -> None:
    scene = scene_with_b_on_3()

    assert scene.actions(packets.tcp(src=US, dst=B), LOCAL) == out(P3)
    assert scene.actions(packets.tcp(src=US, dst=B, sequence=2), P2) == ()


def test_what_is_for_local_ends_there_and_comes_by_any_port() -> None:
    scene = scene_with_b_on_3()

    assert [scene.actions(packets.tcp(src=A, dst=US), port) for port in (P1, P2)] == [out(LOCAL)] * 2


def test_data_is_the_controllers_matter() -> None:
    scene = Scene()
    scene.flow(Output(NORMAL))
    scene.knows(B, P3)

    assert [scene.actions(ACK, port) for port in (P1, P2)] == [out(P3)] * 2


@pytest.mark.parametrize(("ago_s", "actions"), [(0.9 * CACHED_S, ()), (1.1 * CACHED_S, out(P3))])
def test_what_a_cache_may_have_sent_on_by_another_port_is_dropped(ago_s: float, actions: object) -> None:
    scene = scene_with_b_on_3()
    asked: list[tuple[FdbKey, FdbKey, PortNo]] = []

    def last_cached(source: FdbKey, destination: FdbKey, port: PortNo) -> Instant:
        asked.append((source, destination, port))
        return 1.0 - ago_s

    scene.pipeline.ask_cache(last_cached)

    assert scene.actions(ACK, P2, 1.0) == actions
    assert asked == [(FdbKey(0, Mac.parse(A)), FdbKey(0, Mac.parse(B)), P2)]


def test_by_a_neighbour_of_the_networks_key_other_ways_are_honest() -> None:
    scene = scene_with_b_on_3()
    scene.pipeline.ask_cache(lambda *_: 1.0)
    scene.pipeline.places.trust(frozenset({P2}))

    assert scene.actions(ACK, P2, 1.0) == out(P3)


@pytest.mark.parametrize(("took_s", "actions"), [(0.002, out(P3)), (0.004, ())])
def test_where_answers_are_quick_nothing_is_on_its_way_for_long(took_s: float, actions: object) -> None:
    scene = scene_with_b_on_3()
    times = scene.pipeline.places.answer_times
    for begin in range(40):
        times.ask((4, 1), begin)
        times.answer((4, 1), begin + took_s)
    scene.pipeline.ask_cache(lambda *_: 50.0 - 0.6 * CACHED_S)

    assert scene.actions(ACK, P2, 50.0) == actions


@pytest.mark.parametrize("claim", CLAIMS)
def test_an_answer_is_told_by_its_bytes_alone_for_no_cache_has_sent_one_on(claim: bytes) -> None:
    scene = scene_with_b_on_3()
    scene.pipeline.ask_cache(lambda *_: 1.0)

    assert scene.actions(claim, P2, 1.0) == out(P3)


# --- rings --------------------------------------------------------------------------------------------------------


def goes_round(scene: Scene, number: int, now: float) -> None:
    """A frame from A to B goes round: it comes by P1, and again by P2."""
    frame = packets.tcp(src=A, dst=B, sequence=number)
    scene.receive(frame, P1, now)
    scene.receive(frame, P2, now)


def scene_with_neighbours(*ports: PortNo) -> Scene:
    scene = scene_with_b_on_3()
    scene.pipeline.places.trust(frozenset(), frozenset(ports))
    return scene


def test_a_place_to_which_frames_go_round_again_and_again_is_forgotten() -> None:
    scene = scene_with_neighbours(P1, P2, P3)

    goes_round(scene, 1, 1.0)
    goes_round(scene, 2, 1.0 + RING_S / 2)
    assert scene.fdb.lookup(FdbKey(0, Mac.parse(B)), 1.1) == P3

    goes_round(scene, 3, 1.001 + RING_S)
    assert scene.fdb.lookup(FdbKey(0, Mac.parse(B)), 1.1) is None


def test_a_place_to_which_a_cache_has_frames_go_round_is_forgotten() -> None:
    scene = scene_with_neighbours(P1, P2, P3)
    sent_at: dict[tuple[Mac, PortNo], Instant] = {}
    scene.pipeline.ask_cache(lambda source, _, port: sent_at.get((source.mac, port), float("-inf")))

    for number in (0, 1, 2):
        now = sent_at[Mac.parse(A), P2] = 1.0 + 0.51 * number * RING_S
        scene.receive(packets.tcp(src=A, dst=B, sequence=number), P2, now)

    assert scene.fdb.lookup(FdbKey(0, Mac.parse(B)), 1.1) is None


def test_a_station_that_is_heard_meanwhile_stays_where_it_is() -> None:
    scene = scene_with_neighbours(P1, P2, P3)

    goes_round(scene, 1, 1.0)
    scene.receive(packets.tcp(src=B, dst=A), P3, 1.0 + RING_S / 2)
    goes_round(scene, 2, 1.001 + RING_S)

    assert scene.fdb.lookup(FdbKey(0, Mac.parse(B)), 1.1) == P3


def test_a_station_that_a_cache_has_heard_meanwhile_stays_where_it_is() -> None:
    scene = scene_with_neighbours(P1, P2, P3)
    heard = {Mac.parse(B): 1.0 + RING_S / 2}
    scene.pipeline.ask_cache(lambda source, *_: heard.get(source.mac, float("-inf")))

    goes_round(scene, 1, 1.0)
    goes_round(scene, 2, 1.001 + RING_S)

    assert scene.fdb.lookup(FdbKey(0, Mac.parse(B)), 1.1) == P3


@pytest.mark.parametrize("later_s", [RING_S / 2, 1.1 * WINDOW_S])
def test_what_comes_round_for_a_moment_or_seldom_was_flooded_somewhere(later_s: float) -> None:
    scene = scene_with_neighbours(P1, P2, P3)

    goes_round(scene, 1, 1.0)
    goes_round(scene, 2, 1.0 + later_s)

    assert scene.fdb.lookup(FdbKey(0, Mac.parse(B)), 1.5) == P3


def test_a_host_that_sends_again_what_it_has_heard_moves_nothing() -> None:
    scene = scene_with_neighbours(P1, P3)

    goes_round(scene, 1, 1.0)
    goes_round(scene, 2, 1.001 + RING_S)

    assert scene.fdb.lookup(FdbKey(0, Mac.parse(B)), 1.1) == P3


def test_a_trace_of_what_goes_round_changes_nothing() -> None:
    scene = scene_with_neighbours(P1, P2, P3)
    scene.receive(ACK, P1, 1.0)
    goes_round(scene, 1, 1.0)
    scene.receive(ACK, P2, 1.001 + RING_S, trace=Trace())

    assert scene.fdb.lookup(FdbKey(0, Mac.parse(B)), 1.1) == P3


def test_a_bounded_number_of_stations_is_watched_for_rings() -> None:
    sent_on = SentOn()
    for number in range(MAX_RINGS + 1):
        sent_on.is_ring(number, 0.0, 1.0)

    assert [sent_on.is_ring(number, 0.0, 1.0 + 2 * RING_S) for number in (MAX_RINGS, 0)] == [True, False]


def test_a_trace_says_so_and_notes_nothing() -> None:
    scene = scene_with_b_on_3()
    trace = Trace()
    scene.receive(ACK, P2, 1.0, trace=Trace())
    scene.receive(ACK, P1, 1.0)

    told = scene.receive(ACK, P2, 1.0, trace=trace)

    assert told.drop_reason == "the same frame came by another port, and was sent on, a moment ago"
    assert not scene.pipeline.counters


def test_a_bounded_number_of_frames_is_remembered_the_latest() -> None:
    sent_on = SentOn()
    for number in range(2 * MAX_FRAMES):
        sent_on.remember(number.to_bytes(4, "big"), P1, 1.0)

    remembered = sum(
        sent_on.came_by_another(number.to_bytes(4, "big"), P2, 1.0, WINDOW_S) for number in range(2 * MAX_FRAMES)
    )

    assert remembered == MAX_FRAMES
    assert sent_on.came_by_another((2 * MAX_FRAMES - 1).to_bytes(4, "big"), P2, 1.0, WINDOW_S)
