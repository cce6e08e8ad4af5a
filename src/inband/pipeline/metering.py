"""The meter instruction (OpenFlow 1.3.5, 5.7): over a rate a packet is dropped or remarked.

Meters are the one thing in the pipeline with a memory of how many packets came: a packet that meets one counts, unless
it is traced, and its decision is never cached.
"""

from __future__ import annotations

from inband.flow.actions import SetField
from inband.flow.fields import FIELDS
from inband.pipeline.context import XlateContext
from inband.pipeline.dscp import worse_precedence
from inband.pipeline.edits import edit
from inband.vocabulary.openflow import MeterBandType

_IP_DSCP = FIELDS["ip_dscp"]


def apply_meter(ctx: XlateContext, meter_id: int) -> None:
    """Count the packet (its segments, if it waits to be cut) against a meter's rates."""
    meter = ctx.switch.tables.meters.get(meter_id)
    if meter is None:
        ctx.note(f"there is no meter {meter_id}")
        return
    ctx.packet.cacheable = False
    ask = meter.take if ctx.trace is None else meter.exceeded
    band = ask(ctx.frame.segments, len(ctx.frame.data), ctx.now)
    if band is None:
        ctx.note(f"within the rates of meter {meter_id}")
    elif band.band.type is MeterBandType.DROP:
        ctx.stop(f"over the rate of meter {meter_id}")
    else:
        ctx.note(f"over the rate of meter {meter_id}: a worse drop precedence")
        _remark(ctx, band.band.prec_level)


def _remark(ctx: XlateContext, levels: int) -> None:
    dscp = _IP_DSCP.get(ctx.packet.key)
    worse = worse_precedence(dscp, levels)
    if worse != dscp:
        edit(ctx, SetField("ip_dscp", worse))
