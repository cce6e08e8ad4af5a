"""NORMAL: where a learning switch would send a packet (OpenFlow 1.3.5, 4.5; IEEE 802.1Q, 8.6).

VLAN-aware: stations are learned per VLAN, every port carries every VLAN. This decides only; the caller learns, applies
port configuration and guards against storms, because those differ between data and control traffic.

The local MAC address is known without learning: it is on LOCAL. Otherwise a host that sends with that address as its
source could draw the control channel to itself.
"""

from __future__ import annotations

from typing import NamedTuple

from inband.flow.fields import FIELDS, VLAN_PRESENT
from inband.flow.ports import LOCAL, PortNo
from inband.pipeline.fdb import Fdb, FdbKey
from inband.pipeline.packet_state import PacketState
from inband.vocabulary.addresses import Mac
from inband.vocabulary.instant import Instant

_LOOKED_AT = FIELDS["eth_src"].mask | FIELDS["eth_dst"].mask | FIELDS["vlan_vid"].mask
# This runs for each packet that no cache knows: shifts and masks at hand save a third of it.
_ETH_SRC, _ETH_DST, _VLAN_VID = (FIELDS[name].shift for name in ("eth_src", "eth_dst", "vlan_vid"))
_MAC_BITS, _VID_BITS = FIELDS["eth_src"].all_ones, FIELDS["vlan_vid"].all_ones & ~VLAN_PRESENT
_GROUP_BIT = 1 << 40

# 01:80:c2:00:00:00 to 0f: bridges keep them to the link they came on (IEEE 802.1Q, 8.6.3).
_RESERVED = 0x0180C2000000


class NormalDecision(NamedTuple):
    """Exactly one of: ``port`` (known station), ``floods``, or ``drop_reason``.

    ``source`` is the station to learn from, None where there is none to learn.
    """

    source: FdbKey | None = None
    destination: FdbKey | None = None
    port: PortNo | None = None
    floods: bool = False
    drop_reason: str | None = None


def decide(packet: PacketState, in_port: PortNo, fdb: Fdb, local_mac: Mac | None, now: Instant) -> NormalDecision:
    """Where a packet that came in on ``in_port`` goes; it depends on VLAN and both addresses."""
    packet.depend_on(_LOOKED_AT)
    key = packet.key
    vlan, to, sender = key >> _VLAN_VID & _VID_BITS, key >> _ETH_DST & _MAC_BITS, key >> _ETH_SRC & _MAC_BITS
    if to & ~0xF == _RESERVED:
        return NormalDecision(drop_reason="reserved multicast stays on its link")
    source = None if sender & _GROUP_BIT or sender == local_mac else FdbKey(vlan, Mac(sender))
    if to & _GROUP_BIT:
        return NormalDecision(source, None, floods=True)
    destination = FdbKey(vlan, Mac(to))
    port = LOCAL if to == local_mac else fdb.lookup(destination, now)
    if port is None:
        return NormalDecision(source, destination, floods=True)
    if port == in_port:
        return NormalDecision(source, destination, drop_reason="the destination is on the port it came from")
    return NormalDecision(source, destination, port)
