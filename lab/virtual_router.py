"""A router of a pair that shares a virtual address (VRRP, HSRP), as a switch sees it: `python -m lab.virtual_router`.

    python -m lab.virtual_router INTERFACE ADDRESS MAC

It answers ARP for the address: the answer says that the virtual MAC address has it, and comes from the physical one.
What is sent to the virtual MAC address a macvlan interface takes in (``lab.special.virtual_gateway``); nothing is ever
sent from it.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from pathlib import Path

ETH_ARP = 0x0806
_FIXED = bytes.fromhex("0001080006040002")  # Ethernet, IPv4, their lengths, reply


def main(interface: str, address: str, mac: str) -> None:
    """Answer for ever."""
    physical = _mac(Path(f"/sys/class/net/{interface}/address").read_text().strip())
    virtual, here = _mac(mac), ipaddress.ip_address(address).packed
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_ARP)) as wire:
        wire.bind((interface, ETH_ARP))
        print("ready", flush=True)
        while True:
            frame = wire.recv(2048)
            is_request = frame[20:22] == b"\x00\x01" and frame[38:42] == here
            if is_request and frame[6:12] != physical:
                asker = frame[22:32]
                wire.send(asker[:6] + physical + b"\x08\x06" + _FIXED + virtual + here + asker)


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


if __name__ == "__main__":
    main(*sys.argv[1:])
