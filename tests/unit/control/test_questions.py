"""Which of its addresses a switch asks from, and what the question looks like on the wire."""

from __future__ import annotations

import pytest

from inband.control.questions import question, sender_towards
from inband.flow.fields import key_fields
from inband.flow.ports import LOCAL
from inband.host.events import AddressChanged
from inband.packet.parse import parse
from inband.vocabulary.addresses import BROADCAST, Mac, parse_ip
from inband.vocabulary.numbers import ARP_REQUEST, NEIGHBOUR_SOLICITATION

MAC = Mac.parse("02:00:00:00:00:01")


def own(*texts: str) -> list[AddressChanged]:
    """Addresses of the local port as ADDRESS/LENGTH, a tentative one with a question mark behind it."""
    found = []
    for text in texts:
        address, _, length = text.rstrip("?").partition("/")
        found.append(AddressChanged(7, parse_ip(address), int(length), present=True, tentative=text.endswith("?")))
    return found


@pytest.mark.parametrize(
    ("target", "ours", "sender"),
    [
        ("10.0.0.9", ["10.0.0.1/24"], "10.0.0.1"),
        ("10.0.0.9", ["192.0.2.1/24", "10.0.0.1/24"], "10.0.0.1"),  # the one in its network
        ("10.0.0.9", ["192.0.2.1/24"], "192.0.2.1"),  # a gateway outside of every network of ours
        ("10.0.0.9", ["2001:db8::1/64"], None),  # no address of this IP version
        ("10.0.0.9", [], None),
        ("2001:db8::9", ["fe80::1/64", "2001:db8::1/64"], "2001:db8::1"),
        ("fe80::9", ["2001:db8::1/64", "fe80::1/64"], "fe80::1"),
        ("2001:db8::9", ["2001:db8::1/64?"], None),  # duplicate address detection is not done
        ("2001:db8::9", ["2001:db8::1/64?", "fe80::1/64"], "fe80::1"),
    ],
)
def test_the_sender_is_an_address_that_the_target_can_answer(target: str, ours: list[str], sender: str | None) -> None:
    assert sender_towards(parse_ip(target), own(*ours)) == (None if sender is None else parse_ip(sender))


def test_a_question_for_an_ipv4_address_is_an_arp_request_to_all() -> None:
    frame = question(parse_ip("10.0.0.9"), MAC, own("10.0.0.1/24"))

    assert frame is not None
    fields = key_fields(parse(frame, LOCAL))
    assert (fields["eth_src"], fields["eth_dst"], fields["arp_op"]) == (MAC, BROADCAST, ARP_REQUEST)
    assert (fields["arp_sha"], fields["arp_spa"]) == (MAC, int(parse_ip("10.0.0.1")))
    assert fields["arp_tpa"] == int(parse_ip("10.0.0.9"))


def test_a_question_for_an_ipv6_address_is_a_solicitation_to_its_group() -> None:
    frame = question(parse_ip("2001:db8::9"), MAC, own("2001:db8::1/64"))

    assert frame is not None
    fields = key_fields(parse(frame, LOCAL))
    assert (fields["eth_src"], fields["eth_dst"]) == (MAC, Mac.parse("33:33:ff:00:00:09"))
    assert (fields["icmpv6_type"], fields["ipv6_src"]) == (NEIGHBOUR_SOLICITATION, int(parse_ip("2001:db8::1")))
    assert fields["ipv6_nd_target"] == int(parse_ip("2001:db8::9"))


@pytest.mark.parametrize("target", ["10.0.0.9", "2001:db8::9"])
def test_without_an_address_to_ask_from_there_is_no_question(target: str) -> None:
    assert question(parse_ip(target), MAC, own("2001:db8::1/64?")) is None
