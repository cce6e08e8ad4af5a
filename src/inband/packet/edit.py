"""Header actions on a frame: what OpenFlow tells the switch to change in a packet.

One function for every HeaderAction, pure: a frame and an action give a frame. An action that does not fit the
packet (set tcp_src of a UDP packet, pop a tag that is not there) leaves it as it is, and rubbish never raises: matches
with their prerequisites keep such actions away, and where they do not, forwarding goes on.

It is not a judge: whether a packet whose TTL is spent may go on is the pipeline's to say, here a TTL stops at 0.
"""

from __future__ import annotations

from typing import assert_never

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
from inband.packet.frame import Frame
from inband.packet.headers import ip_below_mpls, locate
from inband.packet.set_field import read_field, set_field, update_ipv4_header
from inband.packet.tags import pop_mpls, pop_pbb, pop_vlan, push_mpls, push_pbb, push_vlan


def apply(frame: Frame, action: HeaderAction) -> Frame:
    """The frame after one action (OpenFlow 1.3.5, 5.12), checksums and offload kept right."""
    match action:
        case SetField(name, value, mask):
            return set_field(frame, name, value, mask)
        case PushVlan(eth_type):
            return push_vlan(frame, eth_type)
        case PopVlan():
            return pop_vlan(frame)
        case PushMpls(eth_type):
            return push_mpls(frame, eth_type)
        case PopMpls(eth_type):
            return pop_mpls(frame, eth_type)
        case PushPbb(eth_type):
            return push_pbb(frame, eth_type)
        case PopPbb():
            return pop_pbb(frame)
        case SetNwTtl(ttl):
            return set_field(frame, "ip_ttl", ttl)
        case SetMplsTtl(ttl):
            return set_field(frame, "mpls_ttl", ttl)
        case DecNwTtl():
            return _decrement(frame, "ip_ttl")
        case DecMplsTtl():
            return _decrement(frame, "mpls_ttl")
        case CopyTtlOut():
            return _copy_ttl_out(frame)
        case CopyTtlIn():
            return _copy_ttl_in(frame)
        case _:
            assert_never(action)


def _decrement(frame: Frame, name: str) -> Frame:
    ttl = read_field(frame.data, name)
    return set_field(frame, name, ttl - 1) if ttl else frame


def _copy_ttl_out(frame: Frame) -> Frame:
    pair = _ttl_pair(frame.data)
    if pair is None:
        return frame
    outer, inner = pair
    return _set_byte(frame, outer, frame.data[inner])


def _copy_ttl_in(frame: Frame) -> Frame:
    pair = _ttl_pair(frame.data)
    if pair is None:
        return frame
    outer, inner = pair
    return _set_byte(frame, inner, frame.data[outer])


def _ttl_pair(data: bytes) -> tuple[int, int] | None:
    """Where the TTLs of the outermost and of the next header with one are: two labels, or a label and IP.

    IP in IP would be another pair; the switch does not look below an IP header.
    """
    mpls_at = locate(data).places.get("mpls")
    if mpls_at is None:
        return None
    if not data[mpls_at + 2] & 1:
        return (mpls_at + 3, mpls_at + 7) if len(data) >= mpls_at + 8 else None
    ip_at = ip_below_mpls(data, mpls_at)
    if not ip_at:
        return None
    return mpls_at + 3, ip_at + (8 if data[ip_at] >> 4 == 4 else 7)


def _set_byte(frame: Frame, at: int, ttl: int) -> Frame:
    """Set the TTL at byte ``at``, that of a label or of an IP header right below the only label."""
    data = bytearray(frame.data)
    change = (ttl - data[at]) << 8
    data[at] = ttl
    mpls_at = locate(frame.data).places["mpls"]
    ip_at = at - 8
    if ip_at == mpls_at + 4 and data[mpls_at + 2] & 1 and data[ip_at] >> 4 == 4:
        update_ipv4_header(data, ip_at, change)
    return Frame(bytes(data), frame.offload)
