"""The message between neighbours: round trip, every cut, padding, and one row for each way to be broken."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from inband.errors import WireError
from inband.fabric.hello import (
    MAX_BYTES,
    MAX_WANTED,
    Change,
    Heard,
    Hello,
    body_of,
    decode,
    encode,
    frame,
)
from inband.vocabulary.addresses import Mac

SHORT = Hello(0x0123456789ABCDEF, 0x11111111, 7, 0xFFFFFFFF, 20, 1000)
USUAL = replace(SHORT, heard=Heard(0x22222222, 9, 42, 500))
WHOLE = replace(
    USUAL,
    mac=Mac.parse("02:00:00:00:00:01"),
    addresses=(ip_address("10.0.0.1"), ip_address("fe80::1")),
    changes=(Change(5, 6, 7, 8), Change(9, 10, 11, 12)),
    wanted=(0, 0xFFFFFFFF),
)
MANY = replace(WHOLE, wanted=tuple(range(MAX_WANTED)))
SOURCE = Mac.parse("02:00:00:00:00:99")
HEAD = 30


@pytest.mark.parametrize("hello", [SHORT, USUAL, WHOLE, MANY, replace(WHOLE, wanted=())])
def test_what_is_written_is_read(hello: Hello) -> None:
    assert decode(encode(hello)) == hello
    assert decode(encode(hello) + bytes(20)) == hello, "a card pads with zeros"


def test_the_usual_hello_is_no_longer_than_the_shortest_frame_of_ethernet() -> None:
    assert len(frame(encode(USUAL), SOURCE)) <= 62


def test_a_message_that_is_cut_is_read_short_or_refused() -> None:
    body = encode(WHOLE)

    for length in range(len(body)):
        try:
            found = decode(body[:length])
        except WireError:
            continue
        assert found is not None
        assert found != WHOLE


def test_an_unknown_type_is_skipped_and_an_unknown_kind_is_none_of_ours() -> None:
    body = encode(USUAL)

    assert decode(body + bytes((200, 3)) + b"abc") == USUAL
    assert decode(body[:5] + b"\x63" + body[6:]) is None


def test_what_others_do_with_the_same_ethernet_type_is_not_looked_at() -> None:
    ours = frame(encode(SHORT), SOURCE)

    assert body_of(ours) == encode(SHORT)
    assert body_of(ours[:14] + b"othr" + ours[18:]) is None
    assert body_of(ours[:16]) is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (encode(SHORT)[: HEAD - 1], "ends after 29 bytes"),
        (b"inbN\x02" + encode(SHORT)[5:], "version 2"),
        (encode(replace(SHORT, interval_ms=9)), "interval of 9 ms"),
        (encode(replace(SHORT, wanted_ms=0xFFFF)), "wanted interval of 65535 ms"),
        (encode(SHORT) + b"\x01", "cut off"),
        (encode(SHORT) + b"\x01\x0e" + bytes(13), "cut off"),
        (encode(SHORT) + b"\x01\x0d" + bytes(13), "13 bytes"),
        (encode(USUAL) + encode(USUAL)[HEAD:], "comes twice"),
        (encode(SHORT) + b"\x02\x05" + bytes(5), "MAC address of 5 bytes"),
        (encode(SHORT) + b"\x03\x05" + bytes(5), "5 and 0 bytes of addresses"),
        (encode(SHORT) + b"\x04\x90" + bytes(144), "at most 8"),
        (encode(SHORT) + b"\x05\x12" + bytes(18), "18 bytes of changes"),
        (encode(SHORT) + b"\x05\x99" + bytes(153), "at most 8 of 17"),
        (encode(SHORT) + b"\x06\x05" + bytes(5), "5 bytes of wanted stations"),
        (encode(SHORT) + b"\x06\xf4" + bytes(244), "at most 60 of 4"),
    ],
)
def test_a_broken_message_is_refused_in_words(body: bytes, words: str) -> None:
    with pytest.raises(WireError, match=words):
        decode(body)


def test_a_message_is_as_long_as_every_link_carries_at_most() -> None:
    with pytest.raises(WireError, match="at most 1280"):
        body_of(frame(encode(SHORT), SOURCE).ljust(MAX_BYTES + 1, b"\0"))
