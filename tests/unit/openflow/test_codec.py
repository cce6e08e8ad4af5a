"""Every message survives the way to bytes and back; every broken one gets an error that can be answered."""

from __future__ import annotations

from typing import get_args

import pytest

from inband.errors import UsageError, WireError
from inband.flow.match import Match
from inband.flow.ports import PortNo
from inband.flow.priority import OpenFlowPriority
from inband.openflow import messages as m
from inband.openflow import multipart as mp
from inband.openflow.codec import DecodeError, FramingError, decode, encode, encode_segments, split
from inband.openflow.parts import PortDescription
from inband.vocabulary import openflow as c
from inband.vocabulary.addresses import Mac
from inband.vocabulary.openflow import OFP10, OFP13
from inband.vocabulary.openflow_errors import BadRequest, ErrorType, FlowModFailed
from tests.unit.openflow.samples import SAMPLES, name_of
from tests.unit.openflow.test_malformed import flow_mod13


def resize(data: bytes) -> bytes:
    """The same message with a header that says its real length."""
    return data[:2] + len(data).to_bytes(2, "big") + data[4:]


def attempt(data: bytes) -> tuple[m.Envelope | None, DecodeError | None]:
    """What comes of decoding: an envelope or its refusal."""
    try:
        return decode(data), None
    except DecodeError as error:
        return None, error


@pytest.mark.parametrize("envelope", SAMPLES, ids=name_of)
def test_a_message_survives_the_way_to_bytes_and_back(envelope: m.Envelope) -> None:
    data = encode(envelope, table_id_in_command=envelope.message == m.NxFlowModTableId(enabled=True))

    assert len(data) == int.from_bytes(data[2:4], "big")
    assert decode(data) == envelope


def test_there_is_a_sample_of_every_message() -> None:
    assert {type(envelope.message) for envelope in SAMPLES} == set(get_args(m.Message))


@pytest.mark.parametrize("envelope", SAMPLES, ids=name_of)
def test_a_message_cut_anywhere_is_refused_or_shorter_but_never_a_crash(envelope: m.Envelope) -> None:
    data = encode(envelope)

    for end in range(len(data)):
        with pytest.raises(DecodeError):
            decode(data[:end])
    for end in range(8, len(data)):
        understood, error = attempt(resize(data[:end]))
        if error is not None:
            assert (error.version, error.xid, error.data) == (envelope.version, 1, resize(data[:end])[:512])
        # a HELLO that only lacks padding is understood
        assert understood != envelope or isinstance(envelope.message, m.Hello)


# What may be followed by anything: data, elements to ignore, lists.
_OPEN_ENDED = (
    m.Hello,
    m.Error,
    m.EchoRequest,
    m.EchoReply,
    m.Experimenter,
    m.PacketIn,
    m.PacketOut,
    mp.ExperimenterMultipartRequest,
    mp.ExperimenterMultipartReply,
)


@pytest.mark.parametrize("envelope", SAMPLES, ids=name_of)
def test_a_trailing_byte_is_refused_where_nothing_may_follow(envelope: m.Envelope) -> None:
    if isinstance(envelope.message, _OPEN_ENDED):
        return
    data = resize(encode(envelope) + b"\0")

    with pytest.raises(DecodeError):
        decode(data)


def test_bytes_beyond_the_header_s_length_are_refused() -> None:
    data = encode(m.Envelope(OFP13, 9, m.EchoRequest(b"x"))) + b"\0"

    with pytest.raises(DecodeError) as caught:
        decode(data)

    assert caught.value.reply() == m.Envelope(OFP13, 9, m.Error(ErrorType.BAD_REQUEST, BadRequest.BAD_LEN, data[:512]))


def test_a_hello_of_any_version_is_read() -> None:
    assert decode(bytes.fromhex("0600001000000001 0001000800000070")) == m.Envelope(6, 1, m.Hello(frozenset({4, 5, 6})))
    assert decode(bytes.fromhex("6300000800000001")) == m.Envelope(0x63, 1, m.Hello())


def test_a_hello_s_unknown_or_broken_elements_are_ignored() -> None:
    unknown = bytes.fromhex("0007000500000000")
    bitmap = bytes.fromhex("0001000800000012")

    assert decode(resize(bytes.fromhex("0400000000000001") + unknown + bitmap)).message == m.Hello(frozenset({1, 4}))
    assert decode(resize(bytes.fromhex("0400000000000001") + bitmap[:7])).message == m.Hello()
    assert decode(resize(bytes.fromhex("0400000000000001") + bytes.fromhex("00010003"))).message == m.Hello()


def test_framing_takes_whole_messages_and_leaves_the_rest() -> None:
    first, second = (
        encode(m.Envelope(OFP13, 1, m.EchoRequest(b"abc"))),
        encode(m.Envelope(OFP13, 2, m.BarrierRequest())),
    )
    buffer = bytearray(first + second + first[:5])

    assert split(buffer) == [first, second]
    assert buffer == first[:5]
    buffer += first[5:]
    assert split(buffer) == [first]
    assert not buffer


def test_framing_works_byte_by_byte() -> None:
    data = encode(m.Envelope(OFP13, 1, m.EchoRequest(b"abc")))
    buffer = bytearray()
    found = []

    for byte in data + data:
        buffer.append(byte)
        found += split(buffer)

    assert found == [data, data]


@pytest.mark.parametrize("length", range(8))
def test_a_header_that_claims_less_than_itself_ends_the_stream(length: int) -> None:
    good = encode(m.Envelope(OFP13, 1, m.BarrierRequest()))
    buffer = bytearray(good + bytes([4, 0, 0, length, 0, 0, 0, 1]))

    assert split(buffer) == [good]
    with pytest.raises(FramingError):
        split(buffer)


def test_every_refusal_is_a_wire_error() -> None:
    assert issubclass(DecodeError, WireError)
    assert issubclass(FramingError, WireError)


def _flows(count: int) -> tuple[mp.FlowStats, ...]:
    return tuple(mp.FlowStats(0, Match.of(in_port=n), OpenFlowPriority(1), ()) for n in range(1, count + 1))


@pytest.mark.parametrize("version", [OFP10, OFP13])
@pytest.mark.parametrize("nicira", [False, True])
def test_a_long_reply_is_cut_between_entries(version: int, nicira: bool) -> None:
    reply = mp.FlowStatsReply(_flows(3000), nicira=nicira and version == OFP10)

    segments = encode_segments(m.Envelope(version, 7, reply))

    parts = [decode(segment) for segment in segments]
    messages = [part.message for part in parts]
    assert len(segments) > 1
    assert all(len(segment) <= 0xFFFF and part.xid == 7 for segment, part in zip(segments, parts, strict=True))
    assert [getattr(message, "more") for message in messages] == [True] * (len(parts) - 1) + [False]  # noqa: B009
    assert sum((getattr(message, "entries") for message in messages), ()) == reply.entries  # noqa: B009


def test_a_long_reply_does_not_fit_one_message() -> None:
    with pytest.raises(UsageError):
        encode(m.Envelope(OFP13, 7, mp.FlowStatsReply(_flows(3000))))


def test_an_empty_reply_is_one_message() -> None:
    (segment,) = encode_segments(m.Envelope(OFP13, 7, mp.FlowStatsReply(())))

    assert decode(segment).message == mp.FlowStatsReply(())


@pytest.mark.parametrize(
    "message",
    [
        mp.GroupDescRequest(),
        m.TableMod(0, 0),
        m.GetAsyncRequest(),
        m.MeterMod(c.MeterModCommand.ADD, c.MeterFlags.KBPS, 1),
    ],
    ids=lambda message: type(message).__name__,
)
def test_what_1_0_has_no_form_for_is_the_caller_s_mistake(message: m.Message) -> None:
    with pytest.raises(UsageError):
        encode(m.Envelope(OFP10, 1, message))


def test_the_table_of_a_1_0_flow_mod_counts_only_when_the_peer_said_so() -> None:
    flow_mod = m.FlowMod(c.FlowModCommand.DELETE, table_id=3)
    data = encode(m.Envelope(OFP10, 1, flow_mod), table_id_in_command=True)

    assert decode(data, table_id_in_command=True).message == flow_mod
    with pytest.raises(DecodeError) as caught:
        decode(data)
    assert caught.value.code == FlowModFailed.BAD_COMMAND


def test_a_1_0_delete_is_for_all_tables_and_an_add_for_the_first() -> None:
    delete = encode(m.Envelope(OFP10, 1, m.FlowMod(c.FlowModCommand.DELETE)))
    add = encode(m.Envelope(OFP10, 1, m.FlowMod(c.FlowModCommand.ADD)))

    deleted, added = decode(delete).message, decode(add).message

    assert isinstance(deleted, m.FlowMod)
    assert isinstance(added, m.FlowMod)
    assert deleted.table_id == c.ALL_TABLES
    assert added.table_id == 0


def test_a_text_that_fills_its_field_is_read_as_it_is_written() -> None:
    port = PortDescription(PortNo(1), Mac(2), "x" * 15)
    raw = encode(m.Envelope(OFP13, 1, m.PortStatus(c.PortReason.ADD, port)))

    envelope = decode(raw.replace(b"x" * 15 + b"\0", b"x" * 16))

    assert envelope.message == m.PortStatus(c.PortReason.ADD, port)
    assert encode(envelope) == raw


@pytest.mark.parametrize("others", ["", "8000000400000001", "80000a020800800018040a000001"])
def test_a_packet_type_of_ethernet_says_nothing_in_matches_of_any_shape(others: str) -> None:
    ethernet, other = "8000580400000000", "8000580400010800"
    plain = decode(flow_mod13(others)).message

    for _ in range(3):  # the third is read by its shape
        assert decode(flow_mod13(ethernet + others)).message == plain
        assert decode(flow_mod13(others + ethernet)).message == plain
        with pytest.raises(DecodeError):
            decode(flow_mod13(other + others))
