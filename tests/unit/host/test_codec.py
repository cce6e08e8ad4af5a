"""The form of netlink messages and attributes, beside pyroute2, which knows it independently."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink import nlmsg

from inband.errors import WireError
from inband.host import codec
from inband.host.codec import Message
from tests.unit.host import netlink_oracle

HEAD = struct.Struct("=I")

numbers = st.integers(0, 2**32 - 1)
messages = st.builds(
    Message, st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), numbers, st.integers(0, 12).map(lambda n: bytes(4 * n))
)
pairs = st.lists(st.tuples(st.integers(0, 7), st.binary(max_size=20)), max_size=8)


class Probe(nlmsg):  # type: ignore[misc]
    """A message with one number and attributes A0 to A7 of raw bytes."""

    fields = (("head", "I"),)
    nla_map = tuple((number, f"A{number}", "cdata") for number in range(8))


def body_of(attributes: list[tuple[int, bytes]]) -> bytes:
    return HEAD.pack(0xABCD1234) + b"".join(codec.attribute(kind, value) for kind, value in attributes)


def datagram_of(whole: list[Message]) -> bytes:
    return b"".join(codec.message(*message) for message in whole)


@given(st.lists(messages, max_size=5))
def test_messages_of_a_datagram_come_back_in_order(whole: list[Message]) -> None:
    assert list(codec.split(datagram_of(whole))) == whole


@given(messages)
def test_a_message_says_to_pyroute2_what_was_put_into_it(message: Message) -> None:
    header = netlink_oracle.read(Probe, codec.message(*message._replace(body=HEAD.pack(7))))["header"]

    assert (header["type"], header["flags"], header["sequence_number"]) == message[:3]
    assert header["length"] == codec.HEADER_BYTES + HEAD.size


@given(st.lists(messages, min_size=1, max_size=3), st.data())
def test_a_datagram_cut_anywhere_else_than_between_messages_is_refused(whole: list[Message], data: Any) -> None:
    datagram = datagram_of(whole)
    ends = [len(datagram_of(whole[:count])) for count in range(len(whole) + 1)]

    for size in range(len(datagram)):
        if size in ends:
            assert list(codec.split(datagram[:size])) == whole[: ends.index(size)]
        else:
            with pytest.raises(WireError, match="byte"):
                list(codec.split(datagram[:size]))


@pytest.mark.parametrize("length", [0, 15, 17, 0xFFFFFFFF])
def test_a_message_of_an_impossible_length_is_refused_with_its_place(length: int) -> None:
    whole = codec.message(24, 0, 1, b"")

    with pytest.raises(WireError, match=f"the message at byte 16 of 32 says that it has {length}"):
        list(codec.split(whole + struct.pack("=I", length) + whole[4:]))


@given(pairs)
def test_attributes_come_back_and_of_several_of_a_type_the_last(attributes: list[tuple[int, bytes]]) -> None:
    assert codec.attributes(body_of(attributes), HEAD.size) == dict(attributes)


@given(pairs)
def test_pyroute2_reads_the_attributes_that_we_write(attributes: list[tuple[int, bytes]]) -> None:
    read = netlink_oracle.read(Probe, codec.message(16, 0, 0, body_of(attributes)))

    assert [tuple(each) for each in read["attrs"]] == [(f"A{kind}", value) for kind, value in attributes]
    assert read["head"] == 0xABCD1234


@given(pairs)
def test_we_read_the_attributes_that_pyroute2_writes(attributes: list[tuple[int, bytes]]) -> None:
    data = netlink_oracle.written(Probe, 16, {"head": 5}, [(f"A{kind}", value) for kind, value in attributes])

    (message,) = codec.split(data)

    assert codec.fields(HEAD, message.body) == (5,)
    assert codec.attributes(message.body, HEAD.size) == dict(attributes)


@given(pairs)
def test_attributes_cut_anywhere_are_those_before_the_cut_or_are_refused(attributes: list[tuple[int, bytes]]) -> None:
    whole = b"".join(codec.attribute(kind, value) for kind, value in attributes)

    for size in range(len(whole)):
        try:
            found = codec.attributes(whole[:size])
        except WireError:
            continue
        assert found == dict(attributes[: _whole_before(attributes, size)])


def _whole_before(attributes: list[tuple[int, bytes]], size: int) -> int:
    """How many attributes are whole in the first ``size`` bytes; the padding of the last may be missing."""
    end = 0
    for count, (_, value) in enumerate(attributes):
        if end + 4 + len(value) > size:
            return count
        end += len(codec.attribute(0, value))
    return len(attributes)


@pytest.mark.parametrize("length", [0, 3, 9, 0xFFFF])
def test_an_attribute_of_an_impossible_length_is_refused_with_its_place(length: int) -> None:
    first = codec.number(1, 2, 4)

    with pytest.raises(WireError, match=f"the attribute at byte 8 of 16 says that it has {length}"):
        codec.attributes(first + struct.pack("=H", length) + first[2:])


def test_the_two_upper_bits_of_an_attributes_type_are_no_part_of_it() -> None:
    assert codec.attributes(codec.attribute(0xC000 | 5, b"abcd")) == {5: b"abcd"}


def test_attributes_nest() -> None:
    whole = codec.attribute(1, codec.attribute(2, b"a"), codec.number(3, 7, 4))

    assert codec.attributes(codec.attributes(whole)[1]) == {2: b"a", 3: b"\7\0\0\0"}


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_a_number_comes_back_and_one_of_another_size_is_refused(size: int) -> None:
    (value,) = codec.attributes(codec.number(1, 200, size)).values()

    assert codec.as_number(value, size) == 200
    for wrong in {0, 1, 2, 4, 8} - {size}:
        with pytest.raises(WireError, match=f"an attribute has {size} bytes where a number of {wrong}"):
            codec.as_number(value, wrong)


def test_a_text_ends_at_its_nul_and_may_be_anything() -> None:
    assert codec.as_text(codec.attributes(codec.text(3, "br0"))[3]) == "br0"
    assert codec.as_text(b"br0\0rubbish") == "br0"
    assert codec.as_text(b"\xff") == "\N{REPLACEMENT CHARACTER}"


def test_a_struct_that_is_cut_is_refused() -> None:
    with pytest.raises(WireError, match="3 bytes are fewer than the 4 of its struct"):
        codec.fields(HEAD, b"abc")


def test_an_error_has_its_number_and_the_kernels_words() -> None:
    body = struct.pack("=i", -17) + bytes(16) + codec.text(1, "File exists already")

    assert codec.error_number(body) == 17
    assert codec.error_words(body) == "File exists already"
    assert codec.error_words(body[:20]) == ""


def test_an_error_that_is_cut_has_no_words_and_its_number_or_is_refused() -> None:
    body = struct.pack("=i", -17) + bytes(16) + codec.text(1, "File exists already")

    for size in range(len(body)):
        assert codec.error_words(body[:size]) == ""
        if size < 4:
            with pytest.raises(WireError):
                codec.error_number(body[:size])
        else:
            assert codec.error_number(body[:size]) == 17


@given(st.binary(max_size=80))
def test_any_bytes_are_values_or_a_wire_error(data: bytes) -> None:
    for read in (lambda: list(codec.split(data)), lambda: codec.attributes(data), lambda: codec.error_number(data)):
        with contextlib.suppress(WireError):
            read()
    codec.error_words(data)
