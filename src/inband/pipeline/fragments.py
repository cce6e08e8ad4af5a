"""How flows match fragments of IP (SET_CONFIG, OpenFlow 1.3.5, 7.3.2; ovs-fields(7), "Fragments").

Normally no fragment has ports or ICMP types for flows, not the first either, though it carries them: so all pieces of a
packet fare alike. Fragments may also be dropped before flows see them; and with Open vSwitch's ``nx-match`` the first
is matched by what it carries.

In-band control's own flows come first in any case, and see what a packet carries: no controller can cut it off so.

Invariant: whatever depends on ports depends on ``ip_frag`` too, so that no cached decision about whole packets is
taken for a fragment's, or the other way round.
"""

from __future__ import annotations

from inband.flow.fields import FIELDS, TRANSPORT_FIELDS
from inband.flow.flow import Flow
from inband.table.flow_table import FlowTable
from inband.vocabulary.openflow import ConfigFlags

_IP_FRAG = FIELDS["ip_frag"].mask
# What the first fragment carries and is not matched by: all behind the IP header but TCP's flags, as in Open vSwitch.
_TRANSPORT = sum(FIELDS[name].mask for name in TRANSPORT_FIELDS if name != "tcp_flags")


def find(table: FlowTable, key: int, handling: ConfigFlags, *, in_band: bool) -> tuple[Flow | None, int]:
    """The flow of a table that matches a packet, and the bits of the key that this depends on."""
    if key & _IP_FRAG and handling != ConfigFlags.FRAG_NX_MATCH:
        return _find_for_fragment(table, key, handling, in_band=in_band)
    flow, mattered = table.lookup(key, in_band=in_band)
    if mattered & _TRANSPORT or handling == ConfigFlags.FRAG_DROP:
        mattered |= _IP_FRAG
    return flow, mattered


def find_apart(table: FlowTable, key: int, seen_by_control: int, handling: ConfigFlags) -> tuple[Flow | None, int]:
    """As ``find``, where in-band control's own flows see the packet by another key."""
    flow, asked = table.lookup_in_band(seen_by_control)
    mattered = 0
    if flow is None:
        flow, mattered = find(table, key, handling, in_band=False)
    return flow, asked | mattered | _IP_FRAG


def is_dropped(key: int, handling: ConfigFlags) -> bool:
    """Whether a packet is a fragment, and none is to pass."""
    return bool(handling == ConfigFlags.FRAG_DROP and key & _IP_FRAG)


def _find_for_fragment(table: FlowTable, key: int, handling: ConfigFlags, *, in_band: bool) -> tuple[Flow | None, int]:
    flow, asked = table.lookup_in_band(key) if in_band else (None, 0)
    if flow is not None or is_dropped(key, handling):
        return flow, asked | _IP_FRAG
    flow, mattered = table.lookup(key & ~_TRANSPORT, in_band=False)
    return flow, asked | mattered | _IP_FRAG
