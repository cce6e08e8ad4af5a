"""One connection: HELLO, ECHO, probes, malformed messages, bounds."""

from __future__ import annotations

import pytest

from inband.flow.actions import PacketInReason
from inband.flow.match import Match
from inband.flow.ports import PortNo
from inband.openflow.codec import decode, encode, split
from inband.openflow.messages import (
    BarrierReply,
    BarrierRequest,
    EchoReply,
    EchoRequest,
    Envelope,
    Error,
    FeaturesRequest,
    FlowMod,
    Hello,
    Message,
    NxFlowModTableId,
    PacketIn,
    PacketOut,
)
from inband.openflow.session import SIGN_OF_LIFE, Notice, Session, SessionConfig, SessionState
from inband.vocabulary.openflow import OFP10, OFP13, FlowModCommand
from inband.vocabulary.openflow_errors import BadRequest, ErrorType, HelloFailed

ONLY_13 = frozenset({OFP13})
ONLY_10 = frozenset({OFP10})
BOTH = frozenset({OFP10, OFP13})


def wire(message: Message, version: int = OFP13, xid: int = 9) -> bytes:
    return encode(Envelope(version, xid, message))


def output(session: Session) -> list[Envelope]:
    """Everything the session wants to say."""
    stream = bytearray()
    while session.has_output:
        stream += session.take_output()
    return [decode(raw) for raw in split(stream)]


def receive(session: Session, data: bytes, now: float) -> list[Envelope]:
    """Feed the session, and read all that it makes of it."""
    session.feed(data, now)
    received: list[Envelope] = []
    while session.has_input:
        received += session.read(1)
    return received


def opened(config: SessionConfig | None = None, version: int = OFP13) -> Session:
    """A session that has agreed on a version at time 0 and has nothing to say."""
    session = Session(0.0, config)
    receive(session, wire(Hello(frozenset({version})), version), 0.0)
    output(session)
    assert session.is_negotiated
    return session


def packet_in(size: int) -> Envelope:
    return Envelope(OFP13, 0, PacketIn(PacketInReason.NO_MATCH, Match.of(in_port=1), bytes(size), size))


def test_a_session_says_hello_first_with_all_versions_it_accepts() -> None:
    (hello,) = output(Session(0.0))

    assert (hello.version, hello.message) == (OFP13, Hello(BOTH))


@pytest.mark.parametrize(
    ("ours", "header", "bitmap", "agreed"),
    [
        (BOTH, OFP13, ONLY_13, OFP13),
        (BOTH, OFP13, BOTH, OFP13),
        (BOTH, OFP10, None, OFP10),
        (BOTH, OFP13, None, OFP13),
        (BOTH, 6, None, OFP13),
        (BOTH, 6, frozenset({1, 6}), OFP10),
        (ONLY_10, OFP13, BOTH, OFP10),
        (ONLY_10, OFP13, None, OFP10),
        (ONLY_13, OFP10, None, None),
        (BOTH, 6, frozenset({5, 6}), None),
        (BOTH, 3, None, None),
    ],
)
def test_both_sides_agree_on_the_highest_common_version(
    ours: frozenset[int], header: int, bitmap: frozenset[int] | None, agreed: int | None
) -> None:
    session = Session(0.0, SessionConfig(versions=ours))

    receive(session, wire(Hello(bitmap), header), 0.0)

    assert session.version == agreed
    assert session.is_negotiated == (agreed is not None)


def test_no_common_version_is_answered_with_hello_failed_and_closed() -> None:
    session = Session(0.0, SessionConfig(versions=ONLY_13))

    receive(session, wire(Hello(), OFP10, xid=5), 0.0)

    hello, error = output(session)
    assert isinstance(hello.message, Hello)
    assert isinstance(error.message, Error)
    assert (error.xid, error.message.type, error.message.code) == (
        5,
        ErrorType.HELLO_FAILED,
        HelloFailed.INCOMPATIBLE,
    )
    assert session.closing is not None
    assert "no version in common" in session.closing
    assert receive(session, wire(BarrierRequest()), 1.0) == []


def test_a_message_before_hello_is_turned_away() -> None:
    session = Session(0.0)

    assert receive(session, wire(FeaturesRequest()), 0.0) == []

    assert session.state is SessionState.CLOSED
    assert session.closing == "FeaturesRequest came before HELLO"


def test_messages_right_behind_hello_are_handed_up() -> None:
    session = Session(0.0)

    received = receive(session, wire(Hello(ONLY_13)) + wire(FeaturesRequest(), xid=3), 0.0)

    assert received == [Envelope(OFP13, 3, FeaturesRequest())]


def test_a_message_handed_up_keeps_how_it_began() -> None:
    session = opened()
    raw = wire(PacketOut(PortNo(1), (), bytes(1000)))

    (received,) = receive(session, raw, 0.0)

    assert received.head == raw[:512]


def test_half_a_message_waits_for_the_rest_wherever_it_is_cut() -> None:
    raw = wire(FeaturesRequest()) + wire(BarrierRequest())

    for cut in range(len(raw) + 1):
        session = opened()
        received = receive(session, raw[:cut], 0.0) + receive(session, raw[cut:], 0.0)
        assert [envelope.message for envelope in received] == [FeaturesRequest(), BarrierRequest()]


def test_an_echo_is_answered_with_its_data_and_not_handed_up() -> None:
    session = opened()

    received = receive(session, wire(EchoRequest(b"alive?"), xid=42), 0.0)

    assert received == []
    assert output(session) == [Envelope(OFP13, 42, EchoReply(b"alive?"))]


def test_long_messages_are_decoded_one_at_a_time() -> None:
    session = opened()
    long = wire(PacketOut(PortNo(1), (), bytes(60_000)))
    session.feed(long * 3, 0.0)

    counts = [len(session.read(16)) for _ in range(4)]

    assert counts == [1, 1, 1, 0]


def test_an_echo_overtakes_whatever_waits() -> None:
    session = opened()
    for _ in range(100):
        session.send(packet_in(1000))

    receive(session, wire(EchoRequest(b"now")), 0.0)

    first = decode(split(bytearray(session.take_output(1)))[0])
    assert first.message == EchoReply(b"now")


def test_output_comes_in_whole_messages_up_to_a_limit() -> None:
    session = opened()
    sizes = [len(encode(packet_in(size))) for size in (100, 200, 300)]
    for size in (100, 200, 300):
        session.send(packet_in(size))

    taken = [len(session.take_output(sum(sizes[:2]))), len(session.take_output(1)), len(session.take_output())]

    assert taken == [sum(sizes[:2]), sizes[2], 0]


@pytest.mark.parametrize(
    ("raw", "type_", "code"),
    [
        (bytes.fromhex("04630008000000ab"), ErrorType.BAD_REQUEST, BadRequest.BAD_TYPE),
        (bytes.fromhex("09050008000000ab"), ErrorType.BAD_REQUEST, BadRequest.BAD_VERSION),
        (bytes.fromhex("01050008000000ab"), ErrorType.BAD_REQUEST, BadRequest.BAD_VERSION),
        (bytes.fromhex("040e000c000000ab00000000"), ErrorType.BAD_REQUEST, BadRequest.BAD_LEN),
    ],
)
def test_a_malformed_message_costs_an_error_and_nothing_else(raw: bytes, type_: int, code: int) -> None:
    session = opened()

    received = receive(session, raw + wire(BarrierRequest()), 0.0)

    assert [envelope.message for envelope in received] == [BarrierRequest()]
    assert output(session) == [Envelope(OFP13, 0xAB, Error(type_, code, raw))]
    assert session.malformed == 1
    assert session.is_negotiated


@pytest.mark.parametrize(("size", "shown"), [(255, 255), (1024, 512)])
def test_an_error_shows_a_request_of_usual_length_whole_and_of_a_long_one_the_beginning(size: int, shown: int) -> None:
    session = opened()

    receive(session, b"\x04\x63" + size.to_bytes(2, "big") + bytes(size - 4), 0.0)

    (error,) = output(session)
    assert isinstance(error.message, Error)
    assert len(error.message.data) == shown


def test_a_malformed_error_is_not_answered() -> None:
    session = opened()

    receive(session, bytes.fromhex("0401000900000000ff"), 0.0)

    assert output(session) == []
    assert session.malformed == 1


def test_a_header_that_cannot_be_true_ends_the_connection_after_what_came_before_it() -> None:
    session = opened()

    received = receive(session, wire(BarrierRequest()) + bytes.fromhex("0400000700000000"), 0.0)

    assert [envelope.message for envelope in received] == [BarrierRequest()]
    assert session.state is SessionState.CLOSED
    assert session.closing is not None


def test_a_silent_peer_is_probed_and_then_given_up() -> None:
    session = opened(SessionConfig(probe_interval_s=5.0))

    assert session.next_deadline() == 5.0
    assert session.run(4.9) == []
    assert session.run(5.0) == [Notice.PROBED]
    assert [type(envelope.message) for envelope in output(session)] == [EchoRequest]
    assert session.state is SessionState.PROBING
    assert session.next_deadline() == 10.0
    assert session.run(9.9) == []
    assert session.run(10.0) == [Notice.EXPIRED]
    assert session.closing == "no answer to a probe in 5 s"
    assert session.next_deadline() is None


@pytest.mark.parametrize("data", [wire(BarrierRequest()), wire(EchoRequest(bytes(9000)))[:SIGN_OF_LIFE]])
def test_a_message_or_much_of_one_ends_a_probe(data: bytes) -> None:
    session = opened()
    session.run(5.0)

    receive(session, data, 6.0)

    assert session.state is SessionState.ACTIVE
    assert session.next_deadline() == 11.0


def test_a_byte_now_and_then_is_no_sign_of_life() -> None:
    session = opened()
    message = wire(EchoRequest(bytes(100)))

    for second, byte in enumerate(message):
        session.feed(bytes([byte]), float(second))
        session.run(float(second))
        if session.closing is not None:
            break

    assert session.closing == "no answer to a probe in 5 s"
    assert second == 10


def test_a_hello_that_never_ends_is_waited_for_no_longer_than_none() -> None:
    session = Session(0.0, SessionConfig(probe_interval_s=0.0))
    session.begin(3.0)
    session.feed(wire(Hello())[:7], 7.9)

    assert session.next_deadline() == 8.0
    assert session.run(8.0) == [Notice.EXPIRED]
    assert session.closing == "no HELLO in 5 s"


def test_the_answer_to_a_probe_is_not_handed_up() -> None:
    session = opened()
    session.run(5.0)

    assert receive(session, wire(EchoReply()), 5.1) == []


def test_without_a_probe_interval_a_silent_peer_is_never_given_up() -> None:
    session = opened(SessionConfig(probe_interval_s=0.0))

    assert session.run(1e6) == []
    assert session.next_deadline() is None


def test_a_peer_that_never_says_hello_is_given_up() -> None:
    session = Session(0.0)

    assert session.run(5.0) == [Notice.EXPIRED]
    assert session.closing == "no HELLO in 5 s"


def test_a_peer_that_does_not_read_loses_packet_ins_first_and_is_then_not_read_from() -> None:
    session = opened(SessionConfig(soft_bytes=10_000))

    sent = [session.send(packet_in(1000), is_droppable=True) for _ in range(20)]
    reply = session.send(Envelope(OFP13, 1, BarrierReply()))

    assert sent == [True] * 10 + [False] * 10
    assert session.dropped == 10
    assert reply
    assert not session.wants_input
    output(session)
    assert session.wants_input


def test_a_peer_that_lets_the_output_grow_without_end_is_closed() -> None:
    session = opened(SessionConfig(soft_bytes=10_000, hard_bytes=20_000))

    for _ in range(30):
        session.send(packet_in(1000))

    assert session.state is SessionState.CLOSED
    assert session.closing is not None
    assert "unread" in session.closing


def test_a_message_that_the_version_cannot_say_is_counted() -> None:
    session = opened(version=OFP10)

    assert not session.send(Envelope(9, 1, BarrierReply()))
    assert session.not_encodable == 1
    assert session.is_negotiated


def test_a_second_hello_changes_nothing() -> None:
    session = opened()

    receive(session, wire(Hello(ONLY_10), OFP10), 0.0)

    assert session.version == OFP13
    assert output(session) == []


def test_niciras_flow_mod_table_id_is_remembered_for_the_messages_that_follow() -> None:
    session = opened(version=OFP10)
    raw = encode(Envelope(OFP10, 2, FlowMod(FlowModCommand.ADD, table_id=3)), table_id_in_command=True)
    received = receive(session, wire(NxFlowModTableId(True), OFP10) + raw, 0.0)

    (flow_mod,) = [envelope.message for envelope in received]
    assert isinstance(flow_mod, FlowMod)
    assert flow_mod.table_id == 3


def talkative() -> Session:
    """A session whose peer has said something each tenth of a second for six seconds."""
    session = opened()
    for tenth in range(1, 61):
        receive(session, wire(EchoRequest()), tenth / 10)
    output(session)
    return session


def test_a_talkative_peer_that_falls_silent_is_asked_after_half_a_second() -> None:
    session = talkative()

    assert session.next_deadline() == pytest.approx(6.5)
    assert session.run(6.4) == []
    assert session.run(6.5) == [Notice.ASKED]
    assert [type(envelope.message) for envelope in output(session)] == [EchoRequest]


def test_an_early_question_is_asked_once_and_changes_nothing_of_the_probes() -> None:
    session = talkative()
    session.run(7.0)

    assert session.run(7.5) == []
    assert session.next_deadline() == pytest.approx(11.0)
    assert session.run(11.0) == [Notice.PROBED]
    assert session.run(16.0) == [Notice.EXPIRED]


def test_a_peer_that_is_regular_is_asked_after_twice_its_usual_silence() -> None:
    session = opened()
    for second in range(1, 31):
        receive(session, wire(EchoRequest()), float(second))

    assert session.next_deadline() == pytest.approx(32.0, abs=0.2)


def test_a_peer_whose_silences_differ_is_asked_after_one_that_is_unusual_for_it() -> None:
    session = opened()
    for second in range(1, 101):
        for at in (second - 0.02, second - 0.01, float(second)):
            receive(session, wire(EchoRequest()), at)
    due = session.next_deadline()

    assert due is not None
    assert 101.0 < due < 103.0


def test_a_peer_that_seldom_says_anything_is_not_asked_early() -> None:
    session = opened()
    for second in range(3, 30, 3):
        receive(session, wire(EchoRequest()), float(second))

    assert session.next_deadline() == pytest.approx(27.0 + 5.0)
