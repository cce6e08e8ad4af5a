"""Masks by number, and records as frames."""

from __future__ import annotations

from dataclasses import dataclass, field

from inband.datapath.ebpf.layout import KEY_SIZE, MASK, MAX_MASKS, UPCALL, UpcallReason
from inband.datapath.ebpf.masks import MaskTable
from inband.datapath.ebpf.upcall import read_upcall
from inband.packet.frame import Frame, GsoType, Offload
from inband.testing import packets


def mask(number: int) -> bytes:
    """One of many masks; the bytes where the number of a mask in use stands are 0."""
    return bytes(KEY_SIZE - 2) + number.to_bytes(2, "big")


@dataclass
class Places:
    """The kernel's array of masks."""

    masks: dict[int, bytes] = field(default_factory=dict)
    count: int = 0

    def write(self, index: int, value: bytes) -> None:
        self.masks[index] = value

    def set_count(self, count: int) -> None:
        self.count = count

    def numbers(self) -> list[int]:
        """The number in each place."""
        return [int.from_bytes(self.masks[index][4:6], "big") for index in sorted(self.masks)]


def table() -> tuple[MaskTable, Places]:
    places = Places()
    return MaskTable(places.write, places.set_count), places


def test_a_mask_has_one_place_however_often_it_is_used() -> None:
    masks, places = table()

    assert [masks.take(mask(5)), masks.take(mask(6)), masks.take(mask(5))] == [1, 2, 1]
    assert (places.numbers(), places.count, len(masks)) == ([1, 2], 2, 2)


def test_the_last_use_given_back_empties_the_place() -> None:
    masks, places = table()
    for number in (5, 6, 5):
        masks.take(mask(number))

    masks.give_back(2)
    masks.give_back(1)

    assert (places.numbers(), places.count, len(masks)) == ([1, 0], 1, 1)


def test_a_mask_stands_in_its_place_with_its_number_and_its_words() -> None:
    masks, places = table()

    masks.take(bytes([255] * 4) + bytes(KEY_SIZE - 4))
    masks.take(mask(5))

    assert MASK.unpack(places.masks[0]) == (bytes([255] * 4) + b"\0\1" + bytes(KEY_SIZE - 6), 5, 0)
    assert MASK.unpack(places.masks[1]) == (bytes(4) + b"\0\2" + mask(5)[6:], 12, 0)


def test_low_places_are_used_first() -> None:
    masks, places = table()
    for number in (5, 6, 7):
        masks.take(mask(number))
    masks.give_back(1)

    assert masks.take(mask(8)) == 1
    assert places.count == 3


def test_there_are_so_many_places_and_no_more() -> None:
    masks, _ = table()

    numbers = [masks.take(mask(number)) for number in range(1, MAX_MASKS + 2)]

    assert numbers == [*range(1, MAX_MASKS + 1), None]


def test_an_adopted_mask_stays_as_long_as_its_entries() -> None:
    masks, places = table()

    masks.adopt(3, mask(9), 2)

    assert (masks.take(mask(9)), places.count) == (4, 4)
    for _ in range(3):
        masks.give_back(4)
    assert places.count == 0


def record(
    data: bytes, *, tci: int = 0, tpid: int = 0, checksum_at: int = 0, gso_size: int = 0, reason: int = 0
) -> bytes:
    """As the program writes it, in a place larger than the frame."""
    head = UPCALL.pack(len(data), 7, tci, tpid.to_bytes(2, "big"), checksum_at, gso_size, reason, bytes(96))
    return head + data + bytes(50)


def test_a_record_is_a_frame_with_its_port() -> None:
    upcall = read_upcall(record(packets.arp_request(), reason=1))

    assert (upcall.in_port, upcall.frame) == (7, Frame(packets.arp_request()))
    assert upcall.reason is UpcallReason.SLOW_ACTION


def test_a_checksum_left_to_the_card_is_said() -> None:
    upcall = read_upcall(record(packets.udp(), checksum_at=40))

    assert upcall.frame.offload == Offload(34, 6)


def test_a_tag_beside_the_frame_is_put_back_and_moves_what_is_behind_it() -> None:
    data = packets.tcp(payload=bytes(3000))

    upcall = read_upcall(record(data, tci=0x6005, tpid=0x88A8, checksum_at=50, gso_size=1000))

    assert upcall.frame.data == packets.vlan(data, 5, 3, eth_type=0x88A8)
    assert upcall.frame.offload == Offload(38, 16, GsoType.TCPV4, 1000, 58)
    assert upcall.frame.segments == 3


def test_gso_that_cannot_be_told_is_left_out_and_said() -> None:
    upcall = read_upcall(record(packets.ethernet(0x88B5, bytes(5000)), gso_size=1000))

    assert (upcall.is_whole, upcall.frame.offload) == (False, None)
