"""A host that asks without end: ARP requests or neighbour solicitations for one address, each from another sender.

    python -m lab.storm INTERFACE TARGET RATE SECONDS

TARGET is an IPv4 or an IPv6 address. At the end it prints how many it sent.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
import time
from collections.abc import Sequence

from lab.frames import arp_request, neighbour_solicitation

SENDERS = 4096
_AT_ONCE = 25


def main(interface: str, target: str, rate: str, seconds: str) -> None:
    """Send, and say how many."""
    send([_question(number, target) for number in range(SENDERS)], interface, float(rate), float(seconds))


def send(made: Sequence[bytes], interface: str, per_s: float, seconds: float) -> None:
    """Send frames over and over, so many a second; print "ready" before the first, and at the end how many."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((interface, 0))
        print("ready", flush=True)
        start, sent = time.monotonic(), 0
        while (passed := time.monotonic() - start) < seconds:
            if sent > passed * per_s:
                time.sleep(0.001)
                continue
            for _ in range(_AT_ONCE):
                try:
                    wire.send(made[sent % len(made)])
                except OSError:
                    time.sleep(0.001)  # the queue is full
                sent += 1
    print(f"sent {sent}", flush=True)


def _question(number: int, target: str) -> bytes:
    mac = f"02:5f:00:00:{number >> 8:02x}:{number & 255:02x}"
    if ipaddress.ip_address(target).version == 6:
        return neighbour_solicitation(mac, f"2001:db8::5f00:{number:x}", target)
    return arp_request(mac, f"10.0.{128 + (number >> 8)}.{number & 255}", target)


if __name__ == "__main__":
    main(*sys.argv[1:])
