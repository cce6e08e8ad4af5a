"""Route lookups: each question gets exactly one answer, also when the kernel says nothing."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from inband.errors import WireError
from inband.host import codec, rtnetlink
from inband.host.codec import Message
from inband.host.events import NextHop, NextHopFound
from inband.host.route_lookup import IN_FLIGHT, TIMEOUT_S, TRIES, RouteLookups
from inband.vocabulary.addresses import IpAddress
from tests.unit.host.netlink_oracle import written

REMOTE = ip_address("192.0.2.1")
UNREACHABLE = (-101).to_bytes(4, "little", signed=True) + bytes(16)


def lookups() -> RouteLookups:
    return RouteLookups(lambda index: f"eth{index}")


def sequences(datagram: bytes) -> list[int]:
    return [message.sequence for message in codec.split(datagram)]


def answer(sequence: int) -> Message:
    body = bytes([2, 32, 0, 0, 254, 0, 0, 1]) + bytes(4) + codec.number(rtnetlink.RTA_OIF, 3, 4)
    return Message(rtnetlink.RTM_NEWROUTE, 0, sequence, body)


def refusal(sequence: int) -> Message:
    return Message(codec.NLMSG_ERROR, 0, sequence, UNREACHABLE)


def remotes(count: int) -> list[IpAddress]:
    return [REMOTE + number for number in range(count)]


def test_an_on_link_answer_names_the_destination_itself() -> None:
    asked = lookups()
    asked.ask(REMOTE)
    (sequence,) = sequences(asked.requests(now=0.0))

    found = asked.receive(answer(sequence))

    assert found == NextHopFound(REMOTE, NextHop(3, "eth3", REMOTE, None))
    assert asked.next_deadline() is None


def test_a_neighbour_on_the_link_has_no_scope_as_the_kernel_speaks_of_it_without_one() -> None:
    remote = ip_address("fe80::1%lo")
    asked = lookups()
    asked.ask(remote)
    (sequence,) = sequences(asked.requests(now=0.0))

    found = asked.receive(answer(sequence))

    assert found == NextHopFound(remote, NextHop(3, "eth3", ip_address("fe80::1"), None))


def test_a_refusal_means_no_next_hop() -> None:
    asked = lookups()
    asked.ask(REMOTE)
    (sequence,) = sequences(asked.requests(now=0.0))

    assert asked.receive(refusal(sequence)) == NextHopFound(REMOTE, None)


def test_answers_are_matched_by_sequence_in_any_order() -> None:
    asked = lookups()
    for remote in remotes(2):
        asked.ask(remote)
    first, second = sequences(asked.requests(now=0.0))

    late = asked.receive(answer(second))
    early = asked.receive(refusal(first))

    assert late is not None
    assert late.destination == REMOTE + 1
    assert early == NextHopFound(REMOTE, None)


def test_an_answer_nobody_waits_for_is_ignored() -> None:
    assert lookups().receive(answer(99)) is None


def test_a_question_that_waits_is_not_asked_twice() -> None:
    asked = lookups()
    asked.ask(REMOTE)
    asked.ask(REMOTE)

    assert len(sequences(asked.requests(now=0.0))) == 1


def test_a_question_that_is_out_is_asked_again_because_its_answer_may_be_old() -> None:
    asked = lookups()
    asked.ask(REMOTE)
    asked.requests(now=0.0)

    asked.ask(REMOTE)

    assert len(sequences(asked.requests(now=0.0))) == 1


def test_no_more_questions_are_out_than_the_socket_takes_answers() -> None:
    asked = lookups()
    for remote in remotes(IN_FLIGHT + 5):
        asked.ask(remote)
    out = sequences(asked.requests(now=0.0))

    assert len(out) == IN_FLIGHT
    assert asked.requests(now=0.0) == b""
    asked.receive(answer(out[0]))
    assert len(sequences(asked.requests(now=0.0))) == 1


def test_an_unanswered_question_is_asked_again_and_at_last_given_up() -> None:
    asked = lookups()
    asked.ask(REMOTE)
    now = 0.0
    for _ in range(TRIES):
        assert len(sequences(asked.requests(now))) == 1
        assert asked.settled() == []
        assert asked.next_deadline() == now + TIMEOUT_S
        now += TIMEOUT_S
        asked.expire(now)

    assert asked.requests(now) == b""
    assert asked.settled() == [NextHopFound(REMOTE, None)]
    assert asked.settled() == []
    assert asked.lost == 1


@pytest.mark.parametrize("destination", ["127.0.0.1", "127.9.9.9", "::1"])
def test_loopback_is_never_asked_for(destination: str) -> None:
    asked = lookups()
    asked.ask(ip_address(destination))

    assert asked.requests(now=0.0) == b""
    assert asked.settled() == [NextHopFound(ip_address(destination), None)]


def test_a_link_local_destination_on_an_interface_that_is_not_there_has_no_next_hop() -> None:
    asked = lookups()
    asked.ask(ip_address("fe80::1%ihdnothere"))

    assert asked.requests(now=0.0) == b""
    assert [found.next_hop for found in asked.settled()] == [None]


def test_a_rubbish_answer_ends_its_question() -> None:
    asked = lookups()
    asked.ask(REMOTE)
    (sequence,) = sequences(asked.requests(now=0.0))

    with pytest.raises(WireError):
        asked.receive(Message(rtnetlink.RTM_NEWROUTE, 0, sequence, b"\2"))

    assert asked.settled() == [NextHopFound(REMOTE, None)]
    assert asked.next_deadline() is None


def route(family: int, attributes: list[tuple[str, Any]], kind: int = 1) -> bytes:
    return written(rtmsg, rtnetlink.RTM_NEWROUTE, {"family": family, "type": kind}, attributes)


ANSWERS = {
    "on-link": (
        route(2, [("RTA_DST", "192.0.2.1"), ("RTA_OIF", 3), ("RTA_PREFSRC", "192.0.2.2")]),
        NextHop(3, "eth3", REMOTE, ip_address("192.0.2.2")),
    ),
    "through a gateway": (
        route(2, [("RTA_OIF", 3), ("RTA_GATEWAY", "192.0.2.254")]),
        NextHop(3, "eth3", ip_address("192.0.2.254")),
    ),
    "through a link-local gateway": (
        route(10, [("RTA_OIF", 3), ("RTA_GATEWAY", "fe80::1")]),
        NextHop(3, "eth3", ip_address("fe80::1")),
    ),
    "IPv4 through an IPv6 gateway": (
        route(2, [("RTA_OIF", 3), ("RTA_VIA", {"family": 10, "addr": "fe80::1"})]),
        NextHop(3, "eth3", ip_address("fe80::1")),
    ),
    "to this host": (route(2, [("RTA_OIF", 1)], kind=2), None),
    "nowhere": (route(10, [("RTA_OIF", 1)], kind=7), None),
    "without an interface": (route(2, []), None),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_route_as_pyroute2_writes_it_is_read(name: str) -> None:
    data, expected = ANSWERS[name]
    (message,) = codec.split(data)
    asked = lookups()
    asked.ask(REMOTE)
    (sequence,) = sequences(asked.requests(now=0.0))

    assert asked.receive(message._replace(sequence=sequence)) == NextHopFound(REMOTE, expected)


@pytest.mark.parametrize("name", ANSWERS)
def test_a_route_cut_anywhere_is_refused_or_answers_less(name: str) -> None:
    (message,) = codec.split(ANSWERS[name][0])

    for size in range(len(message.body)):
        asked = lookups()
        asked.ask(REMOTE)
        (sequence,) = sequences(asked.requests(now=0.0))
        try:
            found = asked.receive(message._replace(sequence=sequence, body=message.body[:size]))
        except WireError:
            assert asked.settled() == [NextHopFound(REMOTE, None)]
        else:
            assert found is not None
