"""Frames as no decent host sends them, made from a seed: cut anywhere, stacked, nested, with odd checksums.

Only what Linux takes at all: an Ethernet header is whole, and so is a VLAN tag behind it with the type that follows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random

from inband.packet.frame import Frame, Offload
from inband.testing import packets
from inband.testing.packets import IP6_A, IP6_B

_TAGS = (0x8100, 0x88A8)
_PBB, _MPLS = 0x88E7, (0x8847, 0x8848)
_TAG_TYPES = tuple(tag.to_bytes(2, "big") for tag in _TAGS)
_SCTP_SUM = 8


def is_taken_by_linux(data: bytes) -> bool:
    """Whether the kernel lets a frame in: it takes the outermost tag out of it first (skb_vlan_untag)."""
    return len(data) >= (20 if data[12:14] in _TAG_TYPES else 14)


def odd_frames(family: str, seed: int, count: int) -> Iterator[Frame]:
    """So many frames of a family (a key of FAMILIES)."""
    dice = Random(f"{family} {seed}")
    while count:
        frame = FAMILIES[family](dice)
        if is_taken_by_linux(frame.data):
            count -= 1
            yield frame


def _runt(dice: Random) -> Frame:
    """A header that ends anywhere."""
    data = dice.choice((_plain, _tagged, _labelled, _nested))(dice).data
    return Frame(data[: dice.randrange(14, min(len(data), 100) + 1)])


def _plain(dice: Random) -> Frame:
    """One packet of each protocol that has fields of its own."""
    payload = dice.randbytes(dice.randrange(60))
    a, b = dice.choice(((packets.IP_A, packets.IP_B), (IP6_A, IP6_B)))
    return Frame(
        dice.choice(
            (
                packets.tcp(a, b, payload=payload),
                packets.udp(a, b, dst_port=5000, payload=payload),
                packets.sctp(a, b, chunks=payload),
                packets.icmp_echo(a, b, payload=payload),
                packets.arp_request(),
                packets.neighbour_solicitation(),
                packets.neighbour_advertisement(),
                packets.listener_query(),
                packets.ethernet(0x88B5, payload),
                packets.ethernet(len(payload), payload),
            )
        )
    )


def _unfinished(dice: Random) -> Frame:
    """A packet whose checksum was left to the card, and that perhaps waits to be cut."""
    a, b = dice.choice(((packets.IP_A, packets.IP_B), (IP6_A, IP6_B)))
    payload = dice.randbytes(dice.randrange(1, 3000))
    size = dice.choice((0, 0, 100, 1000))
    if dice.random() < 0.2:
        return _sctp(dice)
    if dice.random() < 0.5:
        return packets.offloaded(packets.udp(a, b, dst_port=5000, payload=payload[:1000]), size if size == 1000 else 0)
    return packets.offloaded(packets.tcp(a, b, payload=payload[: 3000 if size else 1000], flags=0x18), size)


def _sctp(dice: Random) -> Frame:
    """SCTP with its checksum right, wrong, 0 (RFC 9653), or left to the card."""
    a, b = dice.choice(((packets.IP_A, packets.IP_B), (IP6_A, IP6_B)))
    data = packets.sctp(a, b, chunks=dice.randbytes(4 * dice.randrange(1, 50)))
    at = (34 if a == packets.IP_A else 54) + _SCTP_SUM
    kind = dice.choice(("right", "wrong", "zero", "left"))
    if kind == "right":
        return Frame(data)
    spoilt = data[:at] + (bytes(4) if kind in ("zero", "left") else b"\x00\x00\x00\x01") + data[at + 4 :]
    return Frame(spoilt, Offload(at - _SCTP_SUM, _SCTP_SUM) if kind == "left" else None)


def _inside(dice: Random) -> Frame:
    """What other headers are put around. Linux sends nothing that waits to be cut inside of them."""
    while True:
        frame = dice.choice((_plain, _plain, _unfinished, _sctp))(dice)
        if frame.offload is None or not frame.offload.gso_size:
            return frame


def _shifted(frame: Frame, data: bytes) -> Frame:
    """The frame with ``data``, which has more in front of what it had."""
    offload, moved = frame.offload, len(data) - len(frame.data)
    if offload is not None:
        header = offload.hdr_len + moved if offload.gso_size else 0
        offload = replace(offload, csum_start=offload.csum_start + moved, hdr_len=header)
    return Frame(data, offload)


def _tagged(dice: Random, most: int = 20) -> Frame:
    """A stack of VLAN tags, longer than anything follows. Linux cuts what is behind a few of them."""
    depth = dice.choice((1, 1, 2, 2, 3, 4, 5, dice.randrange(most)))
    frame = _unfinished(dice) if depth < 4 and dice.random() < 0.3 else _inside(dice)
    for _ in range(depth):
        data = packets.vlan(frame.data, dice.randrange(4096), dice.randrange(8), eth_type=dice.choice(_TAGS))
        frame = _shifted(frame, data)
    return frame


def _labelled(dice: Random) -> Frame:
    """A stack of MPLS labels, now and then without a bottom, perhaps behind tags."""
    frame = _inside(dice)
    depth = dice.choice((1, 1, 2, 3, dice.randrange(1, 20)))
    labels = b"".join(
        (dice.randrange(1 << 20) << 12 | (at == depth - 1 and dice.random() < 0.9) << 8 | dice.randrange(256)).to_bytes(
            4, "big"
        )
        for at in range(depth)
    )
    data = frame.data[:12] + dice.choice(_MPLS).to_bytes(2, "big") + labels + frame.data[14:]
    frame = _shifted(frame, data)
    if dice.random() < 0.3:
        frame = _shifted(frame, packets.vlan(frame.data, 5, 3, eth_type=dice.choice(_TAGS)))
    return frame


def _nested(dice: Random) -> Frame:
    """A customer's frame in PBB (an I-TAG behind addresses of the backbone), perhaps tagged inside and outside."""
    frame = dice.choice((_inside, _tagged))(dice)
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        tag = dice.randrange(1 << 32).to_bytes(4, "big")
        data = bytes.fromhex("020000000002020000000001") + _PBB.to_bytes(2, "big") + tag + frame.data
        frame = _shifted(frame, data)
        if dice.random() < 0.3:
            frame = _shifted(frame, packets.vlan(frame.data, 5, 3, eth_type=dice.choice(_TAGS)))
    return frame


def _spoilt(dice: Random) -> Frame:
    """Any of them, with bytes changed; what its sender left to the card stays as it was."""
    frame = dice.choice((_plain, _tagged, _labelled, _nested))(dice)
    data = bytearray(frame.data)
    for _ in range(dice.randrange(1, 6)):
        data[dice.randrange(len(data))] = dice.randrange(256)
    return Frame(bytes(data))


FAMILIES: dict[str, Callable[[Random], Frame]] = {
    "runts": _runt,
    "unfinished": _unfinished,
    "sctp": _sctp,
    "tags": _tagged,
    "labels": _labelled,
    "pbb": _nested,
    "spoilt": _spoilt,
}
