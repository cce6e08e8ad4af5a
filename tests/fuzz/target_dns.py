"""DNS messages: questions that switches on the way read, answers to our own questions, and the pipeline's watch.

Checked beside that nothing but WireError is raised: what ``question_of`` reads is what dnspython reads; addresses of an
answer are those of one host, and not more than are kept; work is bounded (libFuzzer's time limit).
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import dns.exception
import dns.message
import dns.rcode

from inband.errors import WireError
from inband.packet.dns import MAX_ADDRESSES, Outcome, RecordType, build_question, question_of, read_answer
from inband.pipeline.dns_hook import DnsWatch
from inband.testing import packets
from tests.fuzz.fuzzing import Target

NAME = "ctl.example"
_PORTS = ((40000, 53), (53, 40000))


def check(data: bytes) -> None:
    """A message by itself, then in frames of both directions and both transports."""
    _check_question(data)
    with suppress(WireError):
        answer = read_answer(data)
        assert len(answer.addresses) <= MAX_ADDRESSES
        assert bool(answer.addresses) is (answer.outcome is Outcome.ADDRESSES)
        assert not any(each.is_multicast or each.is_unspecified for each in answer.addresses)
        assert answer.ttl_s >= 0
    watch = DnsWatch(frozenset({NAME}))
    framed = len(data).to_bytes(2, "big") + data
    for source, destination in _PORTS:
        watch.lets_pass(packets.udp(src_port=source, dst_port=destination, payload=data))
        watch.lets_pass(packets.tcp(src_port=source, dst_port=destination, payload=framed))
        watch.lets_pass(packets.tcp(src_port=source, dst_port=destination, payload=data))


def _check_question(data: bytes) -> None:
    question = question_of(data)
    try:
        message = dns.message.from_wire(data, question_only=True)
    except (dns.exception.DNSException, ValueError):
        return
    if question is None or len(message.question) != 1:
        return
    (other,) = message.question
    assert (question.rdtype, question.ident) == (other.rdtype, message.id)
    assert len(question.name) == len(b".".join(other.name.labels[:-1]))


def seeds() -> Iterable[bytes]:
    """A question; answers with addresses, by an alias, without any; one that is cut; signed; of another type."""
    question = build_question(7, NAME, RecordType.A)
    yield question
    for lines in (
        f"{NAME}. 60 IN A 192.0.2.1\n{NAME}. 60 IN A 192.0.2.2",
        f"{NAME}. 60 IN CNAME a.example.\na.example. 30 IN CNAME b.example.\nb.example. 9 IN A 192.0.2.1",
        f"{NAME}. 60 IN CNAME {NAME}.",
        f"{NAME}. 60 IN TXT x",
    ):
        response = dns.message.make_response(dns.message.from_wire(question))
        response.answer = dns.message.from_text(f"id 7\nflags QR\n;ANSWER\n{lines}").answer
        yield response.to_wire()
    response = dns.message.make_response(dns.message.from_wire(build_question(7, NAME, RecordType.AAAA)))
    response.answer = dns.message.from_text(f"id 7\nflags QR\n;ANSWER\n{NAME}. 60 IN AAAA 2001:db8::1").answer
    yield response.to_wire()
    yield response.to_wire()[:40]
    denied = dns.message.make_response(dns.message.from_wire(question))
    denied.set_rcode(dns.rcode.NXDOMAIN)
    denied.authority = dns.message.from_text("id 7\nflags QR\n;AUTHORITY\nexample. 9 IN SOA a. b. 1 2 3 4 5").authority
    yield denied.to_wire()


WORDS = (b"\x03ctl\x07example\0", b"\xc0\x0c", b"\0\x01\0\x01", b"\0\x1c\0\x01", b"\0\x05\0\x01", b"\0\x06\0\x01",
    b"\0\x29", b"\0\xfa", b"\x84\0", b"\x81\x83", b"\0\0\0\x09\0\x04", b"\0\x2e", b"\0\x40", b"\0\x41")  # fmt: skip
TARGET = Target(check, seeds, WORDS, max_bytes=600)
