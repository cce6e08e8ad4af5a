"""The message with distances: every cut, and one row for each way to be broken."""

from __future__ import annotations

import pytest

from inband.errors import WireError
from inband.fabric import hello
from inband.fabric.distances import Distance, Station
from inband.fabric.keys import Hashed, NetworkKeys
from inband.fabric.update import MAX_RECORD_BYTES, Update, decode, encode, size_of
from inband.vocabulary.addresses import Mac

FOUR, SIX = Station((4, 0x0A000001), Mac(1)), Station((6, 1 << 120), Mac(2))
UPDATE = Update(1, 2, 3, 4, 5, 6, 7, 8, 9, ((FOUR, Distance(10, 11)), (SIX, Distance(12, 0xFFFF))))
KEY, SOURCE = NetworkKeys.of(b"k" * 32), Mac(7)


def test_what_is_written_is_read() -> None:
    assert decode(encode(UPDATE)) == UPDATE
    assert decode(encode(UPDATE) + bytes(20)) == UPDATE


@pytest.mark.parametrize("length", range(len(encode(UPDATE))))
def test_a_message_that_is_cut_is_refused(length: int) -> None:
    with pytest.raises(WireError, match="update: "):
        decode(encode(UPDATE)[:length])


def test_a_whole_message_fits_every_link() -> None:
    for station in (FOUR, SIX):
        records = ((station, Distance(1, 1)),) * (MAX_RECORD_BYTES // size_of(station))
        body = KEY.sign(encode(Update(1, 2, 3, 4, 5, 6, 7, records=records)), SOURCE)

        assert len(hello.frame(body, SOURCE)) <= hello.MAX_BYTES
        assert KEY.look(body, SOURCE.packed) is Hashed.RIGHT


def test_a_hello_is_no_update_and_an_update_is_no_hello() -> None:
    assert hello.decode(encode(UPDATE)) is None
    assert hello.update_kind(hello.frame(encode(UPDATE), SOURCE)) == hello.UPDATE
    assert hello.update_kind(hello.frame(hello.encode(hello.Hello(1, 2, 3, 4, 20, 20)), SOURCE)) is None
