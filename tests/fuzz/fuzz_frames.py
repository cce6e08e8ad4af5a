"""Random and damaged frames through everything in inband.packet: nothing may raise.

``python -m tests.fuzz.fuzz_frames --seconds 60`` runs it longer; a failure prints the frame, the action and the seed.
Besides not raising, what the parser and the editor make of a frame must fit together (see ``check``).
"""

from __future__ import annotations

import argparse
import random
import time

from inband.flow.actions import (
    CopyTtlIn,
    CopyTtlOut,
    DecMplsTtl,
    DecNwTtl,
    HeaderAction,
    PopMpls,
    PopPbb,
    PopVlan,
    PushMpls,
    PushPbb,
    PushVlan,
    SetField,
    SetMplsTtl,
    SetNwTtl,
)
from inband.flow.fields import FIELDS
from inband.packet.build import frame_of_key
from inband.packet.checksum import complete, segment
from inband.packet.dhcp import reply_chaddr
from inband.packet.edit import apply
from inband.packet.frame import Frame, Offload
from inband.packet.parse import parse_checked
from inband.packet.vnet import VNET_SIZE, build_vnet, parse_vnet
from inband.testing import packets

V6 = (packets.IP6_A, packets.IP6_B)

SEEDS = (
    packets.tcp(payload=b"hello"), packets.tcp(*V6), packets.udp(), packets.udp(*V6, payload=b"x"),
    packets.sctp(chunks=bytes(8)), packets.icmp_echo(), packets.icmp_echo(*V6), packets.arp_request(),
    packets.neighbour_solicitation(), packets.neighbour_advertisement(), packets.dhcp_reply(),
    packets.vlan(packets.tcp(), 5), packets.vlan(packets.vlan(packets.arp_reply(), 5), 6, eth_type=0x88A8),
    packets.ethernet(0x8847, bytes.fromhex("00064a4000064b40") + packets.tcp()[14:]),
    packets.ethernet(0x88E7, bytes(4) + packets.vlan(packets.udp(*V6), 7)),
    packets.ethernet(0x86DD, bytes.fromhex("6000000000383c40") + bytes(32) + bytes.fromhex("2b00010400000000"
     "3c00000000000000 3300000900000000 0604" + "00" * 22) + bytes(8)),
    packets.ethernet(36, b"\xaa\xaa\x03\0\0\0\x08\x06" + packets.arp_reply()[14:]),
)  # fmt: skip

# Bytes that mean something at many places: ethertypes, protocols, lengths, versions.
INTERESTING = bytes.fromhex("00010206083a2b2c33323b3c45466088848681dde7ffaa0311")


def random_frame(rng: random.Random) -> bytes:
    """A seed with some bytes changed, cut out, doubled or cut off; now and then nothing but noise."""
    if rng.random() < 0.05:
        return rng.randbytes(rng.randrange(200))
    data = bytearray(rng.choice(SEEDS))
    for _ in range(rng.randrange(6)):
        at = rng.randrange(min(len(data), 100)) if data else 0
        match rng.randrange(6):
            case 0 | 1 if data:
                data[at] = rng.randrange(256)
            case 2 | 3 if data:
                data[at] = rng.choice(INTERESTING)
            case 4:
                data[at : at + rng.randrange(9)] = data[at : at + rng.randrange(40)]
            case _:
                del data[rng.randrange(len(data) + 1) :]
    return bytes(data)


def random_offload(rng: random.Random) -> Offload | None:
    """Any offload a header can hold, often one that could be meant."""
    if rng.random() < 0.3:
        return None
    if rng.random() < 0.5:
        start = rng.choice((-1, 34, 38, 54, 58, rng.randrange(200)))
        return Offload(start, rng.choice((2, 6, 8, 16)), rng.choice((0, 1, 4, 5, 0x81)), rng.randrange(60), 54)
    return parse_vnet(rng.randbytes(VNET_SIZE))


def random_action(rng: random.Random) -> HeaderAction:
    """Any header action."""
    if rng.random() < 0.5:
        field = FIELDS[rng.choice(tuple(FIELDS))]
        mask = rng.choice((None, rng.randrange(field.all_ones + 1)))
        return SetField(field.name, rng.randrange(field.all_ones + 1), mask)
    eth_type = rng.choice((0x8100, 0x88A8, 0x8847, 0x0800, 0x86DD, 0x88E7, rng.randrange(0x10000)))
    actions: tuple[HeaderAction, ...] = (
        PushVlan(eth_type), PopVlan(), PushMpls(eth_type), PopMpls(eth_type), PushPbb(), PopPbb(), CopyTtlIn(),
        CopyTtlOut(), DecNwTtl(), DecMplsTtl(), SetNwTtl(rng.randrange(256)), SetMplsTtl(rng.randrange(256)),
    )  # fmt: skip
    return rng.choice(actions)


def check(frame: Frame, actions: list[HeaderAction]) -> None:
    """Put one frame through everything; raises when anything does, or when results do not fit together."""
    key, _ = parse_checked(frame.data, 1)
    parse_checked(frame_of_key(key), 1)
    reply_chaddr(frame.data)
    assert all(each.offload is None for each in segment(frame))
    assert complete(frame).offload is None
    build_vnet(frame.offload)
    for action in actions:
        frame = apply(frame, action)
        parse_checked(frame.data, 1)


def fuzz(seconds: float, seed: int) -> int:
    """Check frames until the time is over; the number of frames."""
    rng = random.Random(seed)
    deadline = time.monotonic() + seconds
    count = 0
    while time.monotonic() < deadline:
        frame = Frame(random_frame(rng), random_offload(rng))
        actions = [random_action(rng) for _ in range(rng.randrange(6))]
        try:
            check(frame, actions)
        except Exception:
            print(f"seed {seed}, frame {count}: {frame.data.hex()} {frame.offload} {actions}")
            raise
        count += 1
    return count


def main() -> None:
    """Fuzz from the command line."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--seconds", type=float, default=10)
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    chosen = arguments.parse_args()
    print(f"{fuzz(chosen.seconds, chosen.seed)} frames, seed {chosen.seed}")


if __name__ == "__main__":
    main()
