"""Packets for the controllers: what a PACKET_IN says of where in the tables it came from (OpenFlow 1.3.5, 7.4.1)."""

from __future__ import annotations

from typing import assert_never

from inband.flow.actions import PacketInReason, ToController
from inband.flow.fields import FIELDS
from inband.flow.flow import Flow
from inband.pipeline.context import Missed, Place, XlateContext
from inband.vocabulary.openflow import NO_COOKIE, PortConfig

_METADATA = FIELDS["metadata"]
_TUNNEL_ID = FIELDS["tunnel_id"]


def send_to_controller(
    ctx: XlateContext, max_len: int, reason: PacketInReason | None = None, controller_id: int = 0
) -> None:
    """Send the packet as it is now; without a ``reason`` that of the place where the action is.

    A port may be configured to cause none by table misses (OFPPC_NO_PACKET_IN).
    """
    cookie, usual = _describe(ctx.place)
    by_miss_flow = reason is None and usual is PacketInReason.NO_MATCH and isinstance(ctx.place, Flow)
    reason = usual if reason is None else reason
    port = ctx.switch.ports.get(ctx.in_port)
    if reason is PacketInReason.NO_MATCH and port is not None and port.config & PortConfig.NO_PACKET_IN:
        ctx.drop(f"port {port.name} is configured to cause no packet-in by a table miss")
        return
    metadata, tunnel_id = _METADATA.get(ctx.packet.key), _TUNNEL_ID.get(ctx.packet.key)
    ctx.program.output(
        ToController(reason, max_len, ctx.table_id, cookie, controller_id, metadata, tunnel_id, by_miss_flow)
    )


def _describe(place: Place) -> tuple[int, PacketInReason]:
    """Cookie and reason of a packet-in from here."""
    match place:
        case Flow():
            is_miss_flow = place.priority == 0 and not place.match.mask  # the table-miss flow entry (1.3.5, 5.4)
            return place.cookie, PacketInReason.NO_MATCH if is_miss_flow else PacketInReason.ACTION
        case Missed():
            return NO_COOKIE, PacketInReason.NO_MATCH
        case None:
            return NO_COOKIE, PacketInReason.ACTION
        case _:
            assert_never(place)
