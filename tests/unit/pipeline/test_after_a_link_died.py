"""After a link died: whose place is asked, and given up sooner because of what comes from elsewhere."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from inband.flow.ports import LOCAL, PortNo
from inband.packet import arp
from inband.packet.frame import Frame
from inband.pipeline.fdb import FdbKey
from inband.pipeline.patience import MAX_SOON, SOON_S
from inband.pipeline.stations import Lapse
from inband.testing import packets
from inband.vocabulary.addresses import BROADCAST, Mac
from tests.unit.pipeline.scene import P1, P2, P3, US, A, B, Scene, out
from tests.unit.pipeline.test_claims import (
    ADDRESS,
    ANSWER,
    ARP,
    GATEWAY,
    HERE,
    KEY,
    POISON,
    STOLEN,
    lapsed,
    proven,
    said,
)

SWITCH = (4, int(IPv4Address("10.0.0.2")))
ASKS_ALL = said(arp.REQUEST, B, to=str(BROADCAST), spa="10.0.0.2", tpa=GATEWAY)


@pytest.fixture
def scene() -> Scene:
    return proven()


TOOK_S = 0.002
ASKS = said(arp.REQUEST, US, to=A, spa=HERE, tpa=GATEWAY)


def hurried(scene: Scene, *switches: PortNo) -> None:
    """The next hop answers within TOOK_S, as ever; then, at 6.0, a link dies, and it is asked."""
    scene.pipeline.places.trust(frozenset(), frozenset(switches))
    for begin in range(2, 6):
        scene.receive(ASKS, LOCAL, begin)
        scene.receive(ANSWER, P2, begin + TOOK_S)
    scene.pipeline.places.hurry(6.0)
    scene.receive(ASKS, LOCAL, 6.0)


def test_a_next_hop_that_answers_by_another_neighbour_alone_is_given_up_after_the_usual_time(scene: Scene) -> None:
    hurried(scene, P2, P3)

    scene.receive(ANSWER, P3, 6.0 + TOOK_S / 2)
    scene.receive(POISON, P3, 6.0 + TOOK_S)

    assert lapsed(scene, 6.0 + TOOK_S) == []
    assert lapsed(scene, 6.0 + 4 * TOOK_S) == [Lapse(ADDRESS, (P3, Frame(ANSWER)))]


def test_the_known_place_keeps_it_if_it_answers_in_time(scene: Scene) -> None:
    hurried(scene, P2, P3)

    scene.receive(ANSWER, P3, 6.0 + TOOK_S / 2)
    scene.receive(ANSWER, P2, 6.0 + TOOK_S)

    assert lapsed(scene, 6.0 + SOON_S) == []
    assert scene.fdb.pinned == {KEY: P2}


def test_who_has_answered_before_another_link_died_a_moment_later_is_asked_again(scene: Scene) -> None:
    hurried(scene, P2, P3)
    scene.pipeline.places.take_questions()
    scene.receive(ANSWER, P2, 6.0 + TOOK_S)

    scene.pipeline.places.hurry(6.01)

    assert [question.address for question in scene.pipeline.places.take_questions()] == [ADDRESS]
    assert lapsed(scene, 6.01 + SOON_S) == [Lapse(ADDRESS, None)]


def test_who_has_not_answered_yet_when_the_other_end_of_the_link_tells_of_it_is_not(scene: Scene) -> None:
    hurried(scene, P2, P3)
    scene.pipeline.places.take_questions()

    scene.pipeline.places.hurry(6.01)
    scene.receive(ANSWER, P2, 6.011)

    assert scene.pipeline.places.take_questions() == []
    assert lapsed(scene, 6.01 + SOON_S) == []


@pytest.mark.parametrize("claim", [STOLEN, POISON, said(arp.REPLY, B, to=US), said(arp.REQUEST, A, to=US)])
def test_nothing_else_that_contradicts_hurries_that(scene: Scene, claim: bytes) -> None:
    hurried(scene, P2, P3)

    scene.receive(claim, P3, 6.0 + TOOK_S / 2)

    assert lapsed(scene, 6.0 + 4 * TOOK_S) == []


def test_nor_does_the_answer_from_a_port_without_a_neighbour(scene: Scene) -> None:
    hurried(scene, P2)

    scene.receive(ANSWER, P3, 6.0 + TOOK_S / 2)

    assert lapsed(scene, 6.0 + 4 * TOOK_S) == []


@pytest.mark.parametrize(("asker", "is_given_up"), [(P2, True), (P1, False)])
def test_a_place_from_which_others_ask_and_are_answered_through_us_is_given_up(
    scene: Scene, asker: PortNo, is_given_up: bool
) -> None:
    scene.in_band(ARP, letter="j")
    hurried(scene, P1, P2, P3)
    scene.receive(said(arp.REQUEST, B, to=str(BROADCAST), spa="10.0.0.2", tpa=GATEWAY), asker, 6.0)

    passed = scene.actions(said(arp.REPLY, A, to=B, tpa="10.0.0.2"), P3, 6.0 + TOOK_S / 2)

    assert passed == out(asker)
    assert lapsed(scene, 6.0 + 4 * TOOK_S) == ([Lapse(ADDRESS, None)] if is_given_up else [])


def test_a_place_from_which_a_neighbour_sends_to_the_station_is_given_up(scene: Scene) -> None:
    hurried(scene, P2, P3)

    scene.receive(said(arp.REQUEST, B, to=A, spa="10.0.0.2", tpa=GATEWAY), P2, 6.0 + TOOK_S / 2)

    assert lapsed(scene, 6.0 + 4 * TOOK_S) == [Lapse(ADDRESS, None)]


@pytest.mark.parametrize(("first", "is_given_up"), [(P2, True), (P3, False)])
def test_a_place_from_which_a_question_to_all_comes_first_is_given_up(
    scene: Scene, first: PortNo, is_given_up: bool
) -> None:
    scene.in_band(ARP, letter="j")
    hurried(scene, P2, P3)

    scene.receive(ASKS_ALL, first, 6.0 + TOOK_S / 4)
    scene.receive(ASKS_ALL, P2, 6.0 + TOOK_S / 2)

    assert lapsed(scene, 6.0 + 4 * TOOK_S) == ([Lapse(ADDRESS, None)] if is_given_up else [])


def test_at_other_times_none_of_this_gives_a_place_up(scene: Scene) -> None:
    scene.in_band(ARP, letter="j")
    hurried(scene, P2, P3)
    scene.receive(ANSWER, P2, 6.0 + TOOK_S)

    scene.receive(ASKS_ALL, P2, 7.0)

    assert lapsed(scene, 7.0 + 4 * TOOK_S) == []


def with_a_switch_behind(scene: Scene, port: PortNo, now: float) -> None:
    """A controller has answered B, who called by this port."""
    scene.in_band(ARP, letter="j")
    scene.pipeline.places.networks = {(4, int(IPv4Address("10.0.0.0")), 0xFFFFFF00)}
    scene.pipeline.places.meet(SWITCH, Mac.parse(B), port, now)


def test_a_switch_behind_whose_search_comes_by_another_neighbour_is_given_up_and_found_by_the_next_one(
    scene: Scene,
) -> None:
    with_a_switch_behind(scene, P1, 5.0)
    hurried(scene, P1, P2, P3)
    scene.fdb.doubt(6.0)

    scene.receive(ASKS_ALL, P3, 6.0 + TOOK_S / 2)
    given_up = lapsed(scene, 6.0 + 4 * TOOK_S)
    scene.receive(ASKS_ALL + bytes(4), P3, 6.0 + 5 * TOOK_S)

    assert given_up == [Lapse(SWITCH, None)]
    assert scene.fdb.lookup(FdbKey(0, Mac.parse(B)), 6.1) == P3


def test_what_was_believed_since_the_link_died_is_given_up_as_soon(scene: Scene) -> None:
    hurried(scene, P1, P2, P3)
    scene.receive(ANSWER, P2, 6.0 + TOOK_S)
    scene.fdb.doubt(6.0)
    with_a_switch_behind(scene, P1, 6.01)

    scene.receive(packets.tcp("10.0.0.2", "192.0.2.1", src=B, dst=A), P3, 6.02)
    scene.receive(ASKS_ALL, P3, 6.021)

    assert lapsed(scene, 6.02 + 4 * TOOK_S) == [Lapse(SWITCH, None)]


def test_after_that_time_what_shows_the_loss_ends_it_at_once_and_the_search_itself_shows_the_way(scene: Scene) -> None:
    with_a_switch_behind(scene, P1, 5.0)
    hurried(scene, P1, P2, P3)
    scene.fdb.doubt(6.0)

    scene.receive(ASKS_ALL, P3, 6.0 + 4 * TOOK_S)

    assert scene.pipeline.places.take_lapsed() == [Lapse(SWITCH, None)]
    assert scene.fdb.lookup(FdbKey(0, Mac.parse(B)), 6.1) == P3


def moved(scene: Scene, now: float) -> None:
    """The next hop has not answered at port 2, and has proven itself on port 3."""
    scene.pipeline.places.run(6.0 + SOON_S)
    scene.pipeline.places.take_lapsed()
    scene.receive(said(arp.REQUEST, US, to=str(BROADCAST), spa=HERE, tpa=GATEWAY), LOCAL, now)
    scene.receive(ANSWER, P3, now)


def test_two_switches_that_have_found_a_station_behind_each_other_do_not_confirm_that(scene: Scene) -> None:
    scene.in_band(ARP, letter="j")
    hurried(scene, P1, P2, P3)
    moved(scene, 6.03)
    scene.receive(ASKS_ALL, P3, 6.04)
    others_answer = said(arp.REPLY, A, to=B, tpa="10.0.0.2")

    assert scene.actions(others_answer, P2, 6.041) == ()
    assert lapsed(scene, 6.041 + 4 * TOOK_S) == [Lapse(ADDRESS, None)]
    assert scene.actions(others_answer, P2, 6.07) == out(P3)


def test_of_very_many_switches_behind_those_that_are_not_asked_stay_where_they_were_heard_until_heard_elsewhere(
    scene: Scene,
) -> None:
    with_a_switch_behind(scene, P1, 5.0)
    others = range(0x020000200000, 0x020000200000 + MAX_SOON)
    for number, mac in enumerate(others, int(IPv4Address("10.0.0.100"))):
        scene.pipeline.places.meet((4, number), mac, P1, 5.0)

    scene.pipeline.places.trust(frozenset(), frozenset({P1, P2, P3}))
    scene.pipeline.places.hurry(6.0)
    scene.fdb.doubt(6.0)
    asked = {question.mac for question in scene.pipeline.places.take_questions()}
    last = Mac(others[-1])
    before = scene.fdb.lookup(FdbKey(0, last), 6.0)
    scene.receive(said(arp.REQUEST, str(last), to=str(BROADCAST), spa=f"10.0.0.{99 + MAX_SOON}", tpa=GATEWAY), P3, 6.01)

    assert (len(asked), last in asked) == (MAX_SOON, False)
    assert (before, scene.fdb.lookup(FdbKey(0, last), 6.01)) == (P1, P3)
