"""scapy, as an independent judge of checksums."""

from __future__ import annotations

from typing import Any

from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.layers.sctp import SCTP

__all__ = ["IP", "SCTP", "Ether", "IPv6", "recomputed"]


def recomputed(frame: bytes) -> bytes:
    """The frame as scapy writes it when it works out every checksum."""
    packet: Any = Ether(frame)
    layer = packet
    while layer:
        for name in ("chksum", "cksum"):
            if name in layer.fields:
                layer.delfieldval(name)  # also forgets the bytes it was read from
        layer = layer.payload
    return bytes(packet)
