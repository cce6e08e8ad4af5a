"""What a switch says of itself, and the message with it: every cut, and one row for each way to be broken."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from inband.errors import WireError
from inband.fabric import description, hello, map_message
from inband.fabric.description import (
    MAX_ALTERNATIVES,
    MAX_BODY_BYTES,
    MAX_LINKS,
    MAX_NAME_BYTES,
    MAX_WAYS,
    ControlWay,
    DescribedLink,
    Description,
)
from inband.fabric.keys import Hashed, NetworkKeys
from inband.fabric.map_message import NodeRecord
from inband.fabric.update import MAX_RECORD_BYTES, Update
from inband.vocabulary.addresses import Mac

FOUR, SIX = ip_address("10.0.0.1"), ip_address("fd00::1")
WHOLE = Description(
    "br0",
    (FOUR, SIX),
    (DescribedLink(1, 2, 3), DescribedLink(4, 5, 6, is_up=False)),
    (ControlWay(FOUR, True, 1, (2, 3)), ControlWay(SIX, False)),
)
LARGEST = Description(
    "x" * MAX_NAME_BYTES,
    (SIX,) * hello.MAX_ADDRESSES,
    (DescribedLink(1, 2, 3),) * MAX_LINKS,
    (ControlWay(SIX, True, 1, (2,) * MAX_ALTERNATIVES),) * MAX_WAYS,
)
BODY = description.encode(WHOLE)
MESSAGE = Update(1, 2, 3, 4, 5, 6, 7, 8, 9, ((10, NodeRecord(11, BODY)), (12, NodeRecord(0, b""))))
KEY, SOURCE = NetworkKeys.of(b"k" * 32), Mac(7)


@pytest.mark.parametrize("each", [WHOLE, LARGEST, Description()])
def test_what_is_written_is_read(each: Description) -> None:
    assert description.decode(description.encode(each)) == each


def test_what_is_not_known_is_skipped() -> None:
    assert description.decode(b"\xc8\2ab" + BODY + b"\xc9\0") == WHOLE


def test_what_is_over_the_limits_is_left_out_and_no_letter_is_cut() -> None:
    more = Description(
        "ä" * MAX_NAME_BYTES,
        LARGEST.addresses * 2,
        LARGEST.links * 2,
        (ControlWay(SIX, True, 1, (2,) * 9),) * 9,
    )

    read = description.decode(description.encode(more))

    assert read == Description("ä" * (MAX_NAME_BYTES // 2), *(LARGEST.addresses, LARGEST.links, LARGEST.ways))


def test_a_name_is_one_that_can_be_printed() -> None:
    assert description.decode(description.encode(Description("s1\x1b[2J"))).name == "s1?[2J"


@pytest.mark.parametrize("length", set(range(len(BODY))) - {0, 5, 11, 29, 65, 84})
def test_a_description_that_is_cut_within_a_value_is_refused(length: int) -> None:
    with pytest.raises(WireError, match=r"map: type . at byte .* is cut off"):
        description.decode(BODY[:length])


@pytest.mark.parametrize(
    "broken",
    [
        b"\1\1a\1\1b",
        b"\1\x21" + b"a" * 33,
        b"\1\1\xff",
        b"\1\3a\nb",
        b"\3\3abc",
        b"\4\x90" + bytes(144),
        b"\6\x10" + bytes(16),
        (b"\6\xff" + bytes(255)) * 3,
        b"\7\x08" + bytes(8),
        b"\7\x0b" + bytes(11),
        b"\7\x25" + bytes(37),
        (b"\7\x09" + bytes(9)) * 9,
    ],
)
def test_a_description_with_a_value_that_cannot_be_is_refused(broken: bytes) -> None:
    with pytest.raises(WireError):
        description.decode(broken)


def test_a_message_that_is_written_is_read() -> None:
    assert map_message.decode(map_message.encode(MESSAGE) + bytes(20)) == MESSAGE


@pytest.mark.parametrize("length", range(len(map_message.encode(MESSAGE))))
def test_a_message_that_is_cut_is_refused(length: int) -> None:
    with pytest.raises(WireError):
        map_message.decode(map_message.encode(MESSAGE)[:length])


@pytest.mark.parametrize("body", [b"\1\2a", bytes(MAX_BODY_BYTES + 1)])
def test_a_message_with_a_record_that_cannot_be_read_is_refused(body: bytes) -> None:
    with pytest.raises(WireError, match="map: "):
        map_message.decode(map_message.encode(Update(1, 2, 3, 4, 5, 6, 7, records=((1, NodeRecord(1, body)),))))


def test_the_largest_description_fits_a_message_and_that_every_link() -> None:
    record = NodeRecord(1, description.encode(LARGEST))
    body = KEY.sign(map_message.encode(Update(1, 2, 3, 4, 5, 6, 7, records=((1, record),))), SOURCE)

    assert map_message.size_of(record) <= MAX_RECORD_BYTES
    assert len(hello.frame(body, SOURCE)) <= hello.MAX_BYTES
    assert KEY.look(body, SOURCE.packed) is Hashed.RIGHT


def test_it_is_no_hello_and_no_update() -> None:
    data = hello.frame(map_message.encode(MESSAGE), SOURCE)

    assert hello.update_kind(data) == hello.MAP
    assert hello.decode(map_message.encode(MESSAGE)) is None
