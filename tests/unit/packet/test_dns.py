"""DNS messages: questions whole, cut and crooked; answers against dnspython's own writer."""

from __future__ import annotations

import struct

import dns.message
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inband.errors import WireError
from inband.packet.dns import Outcome, Question, RecordType, build_question, question_of, read_answer, spell

NAME = "controller.example.net"


def test_a_question_reads_as_it_was_built() -> None:
    assert question_of(build_question(7, NAME, RecordType.AAAA)) == Question(7, NAME, RecordType.AAAA, False)


def test_a_question_is_what_dnspython_reads_and_writes() -> None:
    message = build_question(7, NAME, RecordType.A)

    assert dns.message.from_wire(message).to_wire() == message
    assert dns.message.make_query(NAME, "A", id=7).to_wire() == message


def test_every_cut_of_a_question_is_none() -> None:
    message = build_question(7, NAME, RecordType.A)

    assert not any(question_of(message[:size]) for size in range(len(message)))


def test_what_follows_the_question_does_not_matter() -> None:
    message = build_question(7, NAME, RecordType.A)

    assert question_of(message + b"anything") == question_of(message)


@pytest.mark.parametrize(
    ("at", "change"),
    [
        (2, b"\x28\x00"),  # an UPDATE
        (4, b"\x00\x00"),  # no question
        (4, b"\x00\x02"),  # two
        (12, b"\xc0\x0c"),  # a name that points to itself
        (12, b"\x40"),  # a label of 64 bytes
        (len(build_question(7, NAME, RecordType.A)) - 2, b"\x00\x03"),  # class CHAOS
    ],
)
def test_a_crooked_question_is_none(at: int, change: bytes) -> None:
    message = build_question(7, NAME, RecordType.A)

    assert question_of(message[:at] + change + message[at + len(change) :]) is None


def test_an_endless_name_is_none() -> None:
    assert question_of(struct.pack("!HHHHHH", 7, 0, 1, 0, 0, 0) + b"\1a" * 400 + bytes(5)) is None


@given(st.integers(0, 2**22 - 1))
def test_a_name_stays_the_same_name_however_it_is_spelled(bits: int) -> None:
    assert spell(NAME, bits).lower() == NAME


@given(st.binary(max_size=80))
def test_rubbish_is_no_answer_and_raises_nothing_else(data: bytes) -> None:
    question_of(data)
    try:
        answer = read_answer(build_question(7, NAME, RecordType.A)[:12] + data)
    except WireError:
        return
    assert not answer.addresses


def test_every_cut_of_an_answer_is_refused() -> None:
    response = dns.message.make_response(dns.message.make_query(NAME, "A", id=7))
    response.answer.append(dns.rrset.from_text(NAME + ".", 60, "IN", "A", "10.0.0.1", "10.0.0.2"))
    wire = response.to_wire()

    assert read_answer(wire).outcome is Outcome.ADDRESSES
    assert read_answer(wire + b"more").outcome is Outcome.ADDRESSES
    for size in range(len(wire)):
        with pytest.raises(WireError):
            read_answer(wire[:size])


def answer(kind: str, text: str, rdclass: str = "IN") -> bytes:
    """An answer with one record, to a question for records of this kind."""
    message = dns.message.make_response(dns.message.make_query(NAME, kind, rdclass, id=7))
    message.answer.append(dns.rrset.from_text(NAME + ".", 60, rdclass, kind, text))
    return message.to_wire()


@pytest.mark.parametrize("text", ["127.0.0.1", "127.9.9.9", "0.0.0.0", "224.0.0.1", "255.255.255.255"])
def test_an_ipv4_address_of_no_other_host_is_no_answer(text: str) -> None:
    assert read_answer(answer("A", text)).outcome is Outcome.NO_DATA


@pytest.mark.parametrize("text", ["::1", "::", "::ffff:127.0.0.1", "::ffff:192.0.2.1", "ff02::1", "fe80::1"])
def test_an_ipv6_address_of_no_other_host_is_no_answer(text: str) -> None:
    assert read_answer(answer("AAAA", text)).outcome is Outcome.NO_DATA


@pytest.mark.parametrize(("kind", "text"), [("TXT", '"192.0.2.1"'), ("MX", "10 mail.example.net."), ("PTR", "a.b.")])
def test_an_answer_to_a_question_of_another_type_has_no_addresses(kind: str, text: str) -> None:
    assert read_answer(answer(kind, text)).outcome is Outcome.NO_DATA


def test_an_answer_of_another_class_has_no_addresses() -> None:
    assert read_answer(answer("A", "ns.example. 1", "CH")).outcome is Outcome.NO_DATA
