"""NORMAL: where a learning switch would send a packet (OpenFlow 1.3.5, 4.5; IEEE 802.1Q, 8.6).

VLAN-aware: stations are learned per VLAN, every port carries every VLAN. This decides only; the caller learns, applies
port configuration and guards against storms, because those differ between data and control traffic.

The local MAC address is known without learning: it is on LOCAL. Otherwise a host that sends with that address as its
source could draw the control channel to itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from inband.flow.fields import FIELDS, VLAN_PRESENT
from inband.flow.flow import Instant
from inband.flow.ports import LOCAL, PortNo
from inband.packet.addresses import Mac
from inband.pipeline.in_flight import InFlight
from inband.pipeline.learning import MacKey, MacTable

_ETH_SRC = FIELDS["eth_src"]
_ETH_DST = FIELDS["eth_dst"]
_VLAN_VID = FIELDS["vlan_vid"]
_LOOKED_AT = _ETH_SRC.mask | _ETH_DST.mask | _VLAN_VID.mask

# 01:80:c2:00:00:00 to 0f: bridges keep them to the link they came on (IEEE 802.1Q, 8.6.3).
_RESERVED = 0x0180C2000000


@dataclass(frozen=True, slots=True)
class NormalDecision:
    """Exactly one of: ``port`` (known station), ``floods``, or ``drop_reason``.

    ``source`` is the station to learn from, None where there is none to learn.
    """

    source: MacKey | None = None
    destination: MacKey | None = None
    port: PortNo | None = None
    floods: bool = False
    drop_reason: str | None = None


def decide(packet: InFlight, in_port: PortNo, macs: MacTable, local_mac: Mac | None, now: Instant) -> NormalDecision:
    """Where a packet that came in on ``in_port`` goes; it depends on VLAN and both addresses."""
    packet.depend_on(_LOOKED_AT)
    vlan = _VLAN_VID.get(packet.key) & ~VLAN_PRESENT
    destination = MacKey(vlan, Mac(_ETH_DST.get(packet.key)))
    if destination.mac & ~0xF == _RESERVED:
        return NormalDecision(drop_reason="reserved multicast stays on its link")
    source = _learnable(MacKey(vlan, Mac(_ETH_SRC.get(packet.key))), local_mac)
    if destination.mac.is_multicast:
        return NormalDecision(source, None, floods=True)
    port = LOCAL if destination.mac == local_mac else macs.lookup(destination, now)
    if port is None:
        return NormalDecision(source, destination, floods=True)
    if port == in_port:
        return NormalDecision(source, destination, drop_reason="the destination is on the port it came from")
    return NormalDecision(source, destination, port)


def _learnable(source: MacKey, local_mac: Mac | None) -> MacKey | None:
    return None if source.mac.is_multicast or source.mac == local_mac else source
