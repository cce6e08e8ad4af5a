"""Captures with comments, read back by a reader of the draft's words."""

from __future__ import annotations

import io
import struct
from typing import Any

from inband.packet.pcapng import MAX_COMMENT, Direction, PcapngWriter


def blocks(data: bytes) -> list[tuple[int, bytes]]:
    """(type, body) of each block; both of its lengths must agree."""
    found = []
    while data:
        kind, length = struct.unpack_from("=II", data)
        assert length % 4 == 0
        assert struct.unpack_from("=I", data, length - 4) == (length,)
        found.append((kind, data[8 : length - 4]))
        data = data[length:]
    return found


def options(data: bytes) -> dict[int, bytes]:
    """Options by code, up to the end mark."""
    found: dict[int, bytes] = {}
    while True:
        code, length = struct.unpack_from("=HH", data)
        if code == 0:
            return found
        found[code] = data[4 : 4 + length]
        data = data[4 + (length + 3 & ~3) :]


def packets(data: bytes) -> list[dict[str, Any]]:
    """Packets with the names of their interfaces."""
    interfaces, found = [], []
    for kind, body in blocks(data):
        if kind == 1:
            assert struct.unpack_from("=HHI", body) == (1, 0, 0)
            assert options(body[8:])[9] == b"\x09"
            interfaces.append(options(body[8:])[2].decode())
        elif kind == 6:
            number, high, low, captured, original = struct.unpack_from("=IIIII", body)
            assert captured == original
            said = options(body[20 + (captured + 3 & ~3) :])
            found.append(
                {
                    "interface": interfaces[number],
                    "time": high << 32 | low,
                    "data": body[20 : 20 + captured],
                    "comment": said.get(1, b"").decode(),
                    "direction": struct.unpack("=I", said[2])[0],
                }
            )
    return found


def test_a_packet_has_its_interface_direction_time_and_comment() -> None:
    file = io.BytesIO()
    writer = PcapngWriter(file)

    writer.write("eth1", Direction.RECEIVED, 1_700_000_000_123_456_789, b"\x01\x02\x03", "rule (h)")
    writer.write("br0", Direction.SENT, 5, b"\x04" * 60)
    writer.write("eth1", Direction.SENT, 6, b"", "ü")

    assert blocks(file.getvalue())[0][1][:4] == struct.pack("=I", 0x1A2B3C4D)
    assert packets(file.getvalue()) == [
        {
            "interface": "eth1",
            "time": 1_700_000_000_123_456_789,
            "data": b"\x01\x02\x03",
            "comment": "rule (h)",
            "direction": 1,
        },
        {"interface": "br0", "time": 5, "data": b"\x04" * 60, "comment": "", "direction": 2},
        {"interface": "eth1", "time": 6, "data": b"", "comment": "ü", "direction": 2},
    ]


def test_a_comment_is_cut_before_its_length_no_longer_fits() -> None:
    file = io.BytesIO()

    PcapngWriter(file).write("eth1", Direction.SENT, 0, b"", "x" * 100_000)

    assert packets(file.getvalue())[0]["comment"] == "x" * MAX_COMMENT


def test_what_was_lost_is_in_the_statistics_of_the_interface() -> None:
    file = io.BytesIO()

    PcapngWriter(file).lost("eth1", 7 << 32 | 9, 100, 3)

    kind, body = blocks(file.getvalue())[-1]
    assert (kind, struct.unpack_from("=III", body)) == (5, (0, 7, 9))
    assert {code: int.from_bytes(value, "little") for code, value in options(body[12:]).items()} == {4: 100, 5: 3}
