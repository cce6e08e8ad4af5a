"""Counts the frames of a TCP port that an interface gets to see, for whomever they are: `python -m lab.witness`.

python -m lab.witness INTERFACE PORT SECONDS
"""

from __future__ import annotations

import socket
import sys
import time

ETH_ALL, ETH_VLAN, IP_TCP = 0x0003, b"\x81\x00", 6
_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, _PACKET_MR_PROMISC = 263, 1, 1


def main(interface: str, port: str, seconds: str) -> None:
    """Print how many, when the time is over."""
    wanted, end, count = int(port), time.monotonic() + float(seconds), 0
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_ALL)) as wire:
        wire.bind((interface, ETH_ALL))
        index = socket.if_nametoindex(interface)
        membership = index.to_bytes(4, sys.byteorder) + _PACKET_MR_PROMISC.to_bytes(2, sys.byteorder) + bytes(10)
        wire.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, membership)
        print("ready", flush=True)
        while (left := end - time.monotonic()) > 0:
            wire.settimeout(left)
            try:
                frame, (_, _, kind, *_) = wire.recvfrom(65535)
            except TimeoutError:
                break
            if kind != socket.PACKET_OUTGOING:
                count += _is_of(frame, wanted)
    print(f"saw {count}", flush=True)


def _is_of(frame: bytes, port: int) -> bool:
    at = 18 if frame[12:14] == ETH_VLAN else 14
    if frame[at - 2 : at] != b"\x08\x00" or len(frame) < at + 24 or frame[at + 9] != IP_TCP:
        return False
    ports_at = at + (frame[at] & 15) * 4
    return port in (int.from_bytes(frame[ports_at + end : ports_at + end + 2], "big") for end in (0, 2))


if __name__ == "__main__":
    main(*sys.argv[1:])
