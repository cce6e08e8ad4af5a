"""Who may speak for a next hop: from where it answered, and from nowhere else while it answers there."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from inband.flow.actions import Output
from inband.flow.match import Match
from inband.flow.ports import LOCAL, NORMAL, PortNo
from inband.packet import arp
from inband.packet.frame import Frame
from inband.pipeline.fdb import MOVE_HOLD_S, FdbKey
from inband.pipeline.patience import AGAIN_S, ANSWER_S, ASKED_S, DOUBTFUL_S, KNOWN_S, PAUSE_S, SOON_MAX_S, SOON_S
from inband.pipeline.places import TURN_S
from inband.pipeline.stations import Lapse, Question
from inband.pipeline.trace import Trace
from inband.testing import packets
from inband.vocabulary.addresses import BROADCAST, Mac
from inband.vocabulary.numbers import ETH_ARP, ETH_IPV4
from tests.unit.pipeline.scene import P1, P2, P3, US, A, B, Scene, out

GATEWAY, HERE, REMOTE = "10.0.0.254", "10.0.0.1", "192.0.2.1"
ADDRESS = (4, int(IPv4Address(GATEWAY)))
ARP = Match.of(eth_type=ETH_ARP)
KEY = FdbKey(0, Mac.parse(A))


def said(op: int, mac: str, *, to: str, src: str = "", spa: str = GATEWAY, tpa: str = HERE) -> bytes:
    """ARP from who says to have this MAC address."""
    sha = Mac.parse(mac)
    return arp.build_arp(op, sha, IPv4Address(spa), Mac(0), IPv4Address(tpa), Mac.parse(to), Mac.parse(src or mac))


QUESTION = said(arp.REQUEST, US, to=str(BROADCAST), spa=HERE, tpa=GATEWAY)
ANSWER = said(arp.REPLY, A, to=US)
STOLEN = said(arp.REPLY, A, to=str(BROADCAST), tpa=GATEWAY)
POISON = said(arp.REPLY, B, to=str(BROADCAST), tpa=GATEWAY)


@pytest.fixture
def scene() -> Scene:
    return proven()


def proven() -> Scene:
    """A switch whose next hop A, a gateway, has answered on port 2 at 1.0; its remote is behind it."""
    scene = Scene()
    scene.in_band(ARP, letter="k")
    scene.in_band(Match.of(eth_type=ETH_IPV4), letter="i")
    scene.pipeline.places.hops = {ADDRESS}
    towards = {(4, int(IPv4Address(REMOTE))): (ADDRESS,)}
    scene.pipeline.places.hops_towards = lambda address: towards.get(address, ())
    scene.receive(QUESTION, LOCAL, 0.999)
    scene.receive(ANSWER, P2, 1.0)
    return scene


def lapsed(scene: Scene, now: float) -> list[Lapse]:
    """Let time pass; return what is not proven any more."""
    scene.pipeline.places.run(now)
    return scene.pipeline.places.take_lapsed()


def test_the_answer_to_our_own_question_proves_a_place(scene: Scene) -> None:
    assert scene.fdb.pinned == {KEY: P2}


@pytest.mark.parametrize(
    "frames",
    [
        [(ANSWER, P2, 1.0)],
        [(QUESTION, LOCAL, 0.9), (STOLEN, P2, 1.0)],
        [(QUESTION, LOCAL, 0.9), (said(arp.REQUEST, A, to=US), P2, 1.0)],
        [(QUESTION, LOCAL, 0.9), (ANSWER, P2, 0.91 + ASKED_S)],
        [(said(arp.REQUEST, B, to=str(BROADCAST), tpa=GATEWAY), P1, 0.9), (ANSWER, P2, 1.0)],
    ],
    ids=["nobody asked", "not to us", "no answer", "too late", "another one asked"],
)
def test_nothing_else_proves_one(frames: list[tuple[bytes, int, float]]) -> None:
    scene = Scene()
    scene.in_band(ARP, letter="k")
    scene.pipeline.places.hops = {ADDRESS}

    for frame, port, now in frames:
        scene.receive(frame, P1 if port == P1 else P2 if port == P2 else LOCAL, now)

    assert scene.fdb.pinned == {}


@pytest.mark.parametrize("frame", [STOLEN, POISON, said(arp.REPLY, B, to=US), said(arp.REQUEST, B, to=US)])
def test_who_contradicts_a_proven_place_is_no_control_and_starts_a_question(scene: Scene, frame: bytes) -> None:
    translation = scene.receive(frame, P3, 2.0)

    assert translation.actions == ()
    assert not translation.cacheable
    assert scene.fdb.lookup(KEY, 2.0) == P2
    assert scene.pipeline.places.take_questions() == [Question(ADDRESS, Mac.parse(A), tells=True)]


def test_the_flow_table_decides_about_it_but_the_local_port_is_not_lied_to(scene: Scene) -> None:
    scene.flow(Output(NORMAL))

    assert scene.receive(POISON, P3, 2.0).actions == out(P1, P2)
    assert scene.receive(packets.udp(src=A, dst="02:00:00:00:00:77"), P3, 2.0).actions == out(P1, P2, LOCAL)
    assert scene.fdb.lookup(KEY, 2.0) == P2


def test_another_mac_address_from_the_same_port_contradicts_too(scene: Scene) -> None:
    assert scene.receive(POISON, P2, 2.0).actions == ()


def test_an_answer_settles_it_and_silence_gives_the_place_up(scene: Scene) -> None:
    scene.receive(STOLEN, P3, 2.0)
    scene.receive(ANSWER, P2, 2.0 + ANSWER_S / 2)
    settled = lapsed(scene, 2.0 + ANSWER_S)
    scene.receive(STOLEN, P3, 3.0)
    silent = lapsed(scene, 3.0 + ANSWER_S)

    assert settled == []
    assert silent == [Lapse(ADDRESS, (P3, Frame(STOLEN)))]
    assert scene.fdb.lookup(KEY, 3.2) is None
    assert scene.receive(STOLEN, P3, 3.2).actions == out(P1, P2, LOCAL)


def test_questions_are_asked_twice_and_ten_times_a_second_at_most(scene: Scene) -> None:
    asked = []
    for number in range(100):
        now = 2.0 + number * 0.01
        scene.receive(said(arp.REPLY, A, to=f"02:00:00:00:01:{number:02x}", tpa=GATEWAY), P3, now)
        scene.pipeline.places.run(now)
        asked += scene.pipeline.places.take_questions()
        scene.receive(ANSWER, P2, now)

    assert len(asked) <= 1 + round(1.0 / PAUSE_S)
    scene.receive(STOLEN, P3, 4.0)
    scene.pipeline.places.run(4.0 + AGAIN_S)
    assert len(scene.pipeline.places.take_questions()) == 2


def test_a_place_that_answers_but_does_not_work_is_given_up_for_one_that_contradicts(scene: Scene) -> None:
    places = scene.pipeline.places
    for tenth in range(20):
        places.insist(ADDRESS, 3.0 + tenth / 10)
    now = 3.0 + 1.9

    scene.receive(ANSWER, P2, now)
    alone = places.take_lapsed()
    places.insist(ADDRESS, now)
    scene.receive(STOLEN, P3, now)
    scene.receive(ANSWER, P2, now)

    assert DOUBTFUL_S < 1.9
    assert alone == []
    assert [each.address for each in places.take_lapsed()] == [ADDRESS]


def test_while_no_channel_works_through_it_a_place_is_given_up_for_another_one_that_answers(scene: Scene) -> None:
    places = scene.pipeline.places

    known = places.set_failing(ADDRESS, is_failing=True)
    scene.receive(said(arp.REPLY, B, to=US), P3, 1.0 + TURN_S / 2)
    scene.receive(ANSWER, P2, 1.0 + TURN_S / 2)
    early = places.take_lapsed()
    scene.receive(said(arp.REPLY, B, to=US), P3, 1.0 + TURN_S)
    scene.receive(ANSWER, P2, 1.0 + TURN_S)

    assert known
    assert early == []
    assert [each.address for each in places.take_lapsed()] == [ADDRESS]


def test_what_lies_to_another_station_is_never_looked_at_again(scene: Scene) -> None:
    scene.receive(said(arp.REPLY, B, to="02:00:00:00:00:78"), P3, 2.0)

    assert lapsed(scene, 2.0 + ANSWER_S) == [Lapse(ADDRESS, None)]


def test_a_question_for_a_next_hop_to_us_alone_begins_a_doubt_that_is_told_to_no_one(scene: Scene) -> None:
    scene.in_band(ARP, letter="j")

    scene.receive(said(arp.REQUEST, B, to=US, spa="10.0.0.2", tpa=GATEWAY), P1, 2.0)

    assert scene.pipeline.places.take_questions() == [Question(ADDRESS, Mac.parse(A), tells=False)]


def test_a_port_that_goes_down_takes_the_proof_with_it(scene: Scene) -> None:
    scene.fdb.flush_port(P2)

    assert scene.receive(STOLEN, P3, 2.0).actions == out(P1, P2, LOCAL)


def test_a_remotes_segments_come_from_its_next_hop_alone_and_never_go_to_a_group(scene: Scene) -> None:
    scene.knows(B, P1)

    def segment(src: str, dst: str = B) -> bytes:
        return packets.tcp(REMOTE, HERE, src=src, dst=dst)

    assert scene.actions(segment(A), P2, 2.0) == out(P1)
    assert scene.actions(segment("02:00:00:00:00:77"), P3, 2.0) == ()
    assert scene.actions(segment(A), P3, 2.0) == ()
    assert scene.actions(segment(A, str(BROADCAST)), P2, 2.0) == ()


def test_a_remotes_segments_may_come_another_way_from_one_neighbour_to_another(scene: Scene) -> None:
    scene.knows(B, P1)
    scene.pipeline.places.trust(frozenset(), frozenset({P1, P3}))

    passed = scene.receive(packets.tcp(REMOTE, HERE, src=A, dst=B), P3, 2.0)

    assert passed.actions == out(P1)
    assert not passed.cacheable
    assert scene.fdb.pinned == {KEY: P2}
    assert scene.pipeline.places.take_questions() == [Question(ADDRESS, Mac.parse(A))]
    assert list(scene.pipeline.places.heard_by) == [P3]
    assert scene.actions(packets.tcp(REMOTE, HERE, src=A, dst=US), P3, 2.0) == out(LOCAL)


@pytest.mark.parametrize("neighbours", [{P1}, {P3}, {P2}])
def test_no_host_sends_or_gets_what_comes_another_way(scene: Scene, neighbours: set[PortNo]) -> None:
    scene.knows(B, P1)
    scene.pipeline.places.trust(frozenset(), frozenset(neighbours))

    assert scene.actions(packets.tcp(REMOTE, HERE, src=A, dst=B), P3, 2.0) == ()


def test_other_addresses_and_other_packets_do_not_come_another_way(scene: Scene) -> None:
    scene.knows(B, P1)
    scene.pipeline.places.trust(frozenset(), frozenset({P1, P3}))

    assert scene.actions(packets.tcp(REMOTE, HERE, src="02:00:00:00:00:77", dst=B), P3, 2.0) == ()
    assert scene.actions(packets.tcp(REMOTE, HERE, src=A, dst=str(BROADCAST)), P3, 2.0) == ()
    assert scene.actions(STOLEN, P3, 2.0) == ()


# --- what a neighbour sends back ----------------------------------------------------------------------------------


def test_a_place_from_which_a_neighbour_sends_to_it_is_forgotten_and_the_frame_flooded(scene: Scene) -> None:
    scene.knows(B, P3)
    scene.pipeline.places.trust(frozenset(), frozenset({P2, P3}))
    frame = said(arp.REQUEST, "02:00:00:00:00:55", to=B, spa="10.0.0.5", tpa=GATEWAY)

    turned = scene.receive(frame, P3, 2.0)

    assert turned.actions == out(P1, P2, LOCAL)
    assert scene.fdb.lookup(FdbKey(0, Mac.parse(B)), 2.0) is None


def test_a_next_hop_that_a_neighbour_sends_back_to_is_asked(scene: Scene) -> None:
    scene.pipeline.places.trust(frozenset(), frozenset({P2}))
    frame = said(arp.REQUEST, "02:00:00:00:00:55", to=A, spa="10.0.0.5", tpa=GATEWAY)

    assert scene.actions(frame, P2, 2.0) == ()
    assert scene.fdb.pinned == {KEY: P2}
    assert scene.pipeline.places.take_questions() == [Question(ADDRESS, Mac.parse(A))]
    assert [lapse.address for lapse in lapsed(scene, 2.0 + SOON_S)] == [ADDRESS]


def test_when_a_link_died_a_next_hop_is_asked_where_it_is_and_has_answered(scene: Scene) -> None:
    places = scene.pipeline.places

    places.hurry(2.0)
    asked = places.take_questions()
    before = places.is_lost(ADDRESS, 2.0 + SOON_S)
    scene.receive(said(arp.REQUEST, US, to=A, spa=HERE, tpa=GATEWAY), LOCAL, 2.0)
    scene.receive(ANSWER, P2, 2.002)

    assert asked == [Question(ADDRESS, Mac.parse(A), is_known=True)]
    assert (before, places.is_lost(ADDRESS, 2.0 + SOON_S)) == (True, False)
    assert lapsed(scene, 2.0 + SOON_MAX_S) == []


def test_what_contradicts_after_a_link_died_is_told_to_no_one_for_all_ask_themselves(scene: Scene) -> None:
    places = scene.pipeline.places
    places.hurry(2.0)
    scene.receive(said(arp.REQUEST, US, to=A, spa=HERE, tpa=GATEWAY), LOCAL, 2.0)
    scene.receive(ANSWER, P2, 2.002)
    places.take_questions()

    scene.receive(POISON, P3, 2.0 + PAUSE_S)
    soon = places.take_questions()
    scene.receive(ANSWER, P2, 2.0 + PAUSE_S + 0.01)
    scene.receive(POISON, P3, 2.1 + KNOWN_S)

    assert soon == [Question(ADDRESS, Mac.parse(A), tells=False, is_known=True)]
    assert places.take_questions() == [Question(ADDRESS, Mac.parse(A), tells=True)]


def test_a_next_hop_whose_answers_take_long_is_given_up_later_but_not_much(scene: Scene) -> None:
    places = scene.pipeline.places
    for begin in (2.0, 3.0, 4.0, 5.0):
        scene.receive(said(arp.REQUEST, US, to=A, spa=HERE, tpa=GATEWAY), LOCAL, begin)
        scene.receive(ANSWER, P2, begin + 0.06)

    places.hurry(6.0)

    assert lapsed(scene, 6.0 + 2 * SOON_S) == []
    assert [lapse.address for lapse in lapsed(scene, 6.0 + SOON_MAX_S)] == [ADDRESS]


# --- switches behind this one -------------------------------------------------------------------------------------


def test_a_switch_whose_segments_come_by_another_way_is_met_there_when_it_was_not_heard_elsewhere(scene: Scene) -> None:
    places, switch = scene.pipeline.places, (4, int(IPv4Address("10.0.0.2")))
    places.networks = {(4, int(IPv4Address("10.0.0.0")), 0xFFFFFF00)}
    scene.knows(B, P1, now=2.0)

    places.meet(switch, Mac.parse(B), P3, 2.0 + 0.9 * MOVE_HOLD_S)
    held = scene.fdb.lookup(FdbKey(0, Mac.parse(B)), 2.5)
    places.meet(switch, Mac.parse(B), P3, 2.0 + MOVE_HOLD_S)

    assert (held, places.station(switch) is not None) == (P1, True)
    assert scene.fdb.pinned == {KEY: P2, FdbKey(0, Mac.parse(B)): P3}


def test_what_a_host_sends_back_is_dropped(scene: Scene) -> None:
    scene.knows(B, P3)
    frame = said(arp.REQUEST, "02:00:00:00:00:55", to=B, spa="10.0.0.5", tpa=GATEWAY)

    assert scene.actions(frame, P3, 2.0) == ()
    assert scene.fdb.lookup(FdbKey(0, Mac.parse(B)), 2.0) == P3


def test_the_truth_passes_from_anywhere_to_who_has_just_asked_for_it(scene: Scene) -> None:
    scene.in_band(ARP, letter="j")
    scene.receive(said(arp.REQUEST, B, to=str(BROADCAST), spa="10.0.0.2", tpa=GATEWAY), P1, 2.0)

    assert scene.actions(said(arp.REPLY, A, to=B), P3, 2.1) == out(P1)
    assert scene.actions(said(arp.REPLY, "02:00:00:00:00:77", to=B), P3, 2.1) == ()
    assert scene.actions(said(arp.REPLY, A, to="02:00:00:00:00:78"), P3, 2.1) == ()
    assert scene.fdb.lookup(KEY, 2.1) == P2


def test_a_trace_says_why_and_starts_no_question(scene: Scene) -> None:
    trace = Trace()

    scene.receive(STOLEN, P3, 2.0, trace=trace)

    assert f"no rule applies: {A} was proven to be on port 2" in str(trace.steps)
    assert scene.pipeline.places.take_questions() == []


def test_a_full_table_makes_room_among_others_than_those_pinned(scene: Scene) -> None:
    for number in range(2 * scene.fdb.max_entries):
        scene.fdb.learn(FdbKey(0, Mac(0x020000100000 + number)), P2, 2.0)

    assert scene.fdb.lookup(KEY, 2.0) == P2
    assert len(scene.fdb) == scene.fdb.max_entries
