"""Tunnels over IP that an interface may be an end of (VXLAN: RFC 7348, GRE: RFC 2784 and 2890, Geneve: RFC 8926)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from inband.vocabulary.addresses import IpAddress


class TunnelKind(StrEnum):
    """Open vSwitch's names of them; a GRE tunnel carries Ethernet."""

    VXLAN = "vxlan"
    GRE = "gre"
    GENEVE = "geneve"


DST_PORTS = {TunnelKind.VXLAN: 4789, TunnelKind.GENEVE: 6081}
"""The UDP ports that IANA has for them."""

KEY_BITS = {TunnelKind.VXLAN: 24, TunnelKind.GRE: 32, TunnelKind.GENEVE: 24}


@dataclass(frozen=True, slots=True)
class Tunnel:
    """One end with one other end. ``key`` is the VNI, or GRE's key; None: GRE without one.

    ``dst_port`` is 0 for GRE, which has no ports. ``ttl`` 0: as a packet of this machine.
    """

    kind: TunnelKind
    remote: IpAddress
    local: IpAddress | None = None
    key: int | None = None
    dst_port: int = 0
    ttl: int = 0

    def __str__(self) -> str:
        """As ``dpif/show`` says it."""
        words = [] if self.key is None else [f"key={self.key}"]
        words += [] if self.local is None else [f"local_ip={self.local}"]
        words.append(f"remote_ip={self.remote}")
        return f"{self.kind}: {', '.join(words)}"
