"""The meter instruction (OpenFlow 1.3.5, 5.7): over a rate a packet is dropped or remarked.

Meters have a memory of how many packets came, so no translation can say what becomes of the packets that a decision is
for: that is an action of the datapath's, which asks the meter for each. The packet goes on here as if it were within
the rate; what is sent afterwards is sent of those that are. The flows behind a meter count its dropped packets too.

One decision depends on the answer: where a later table looks at the DSCP that a remark band may change. Then the meter
is asked here, and the decision holds for this packet only. Not seen is a DSCP that is copied to another field, or that
a resubmit to an earlier table looks at: these see the one before the meter.
"""

from __future__ import annotations

from inband.flow.actions import Meter, SetField
from inband.flow.fields import FIELDS
from inband.pipeline.context import XlateContext
from inband.pipeline.dscp import worse_precedence
from inband.pipeline.edits import edit
from inband.table.meters import MeterEntry
from inband.vocabulary.openflow import MeterBandType

_IP_DSCP = FIELDS["ip_dscp"]


def apply_meter(ctx: XlateContext, meter_id: int) -> None:
    """Have each packet counted (its segments, if it waits to be cut) against a meter's rates."""
    meter = ctx.switch.tables.meters.get(meter_id)
    if meter is None:
        ctx.note(f"there is no meter {meter_id}")
    elif meter.remarks and ctx.switch.tables.asks_behind(ctx.table_id, _IP_DSCP.mask):
        _ask_now(ctx, meter)
    else:
        ctx.note(f"held against meter {meter_id}")
        ctx.program.meter(Meter(meter_id))


def _ask_now(ctx: XlateContext, meter: MeterEntry) -> None:
    ctx.packet.cacheable = False
    ask = meter.take if ctx.trace is None else meter.exceeded
    band = ask(ctx.frame.segments, len(ctx.frame.data), ctx.now)
    if band is None:
        ctx.note(f"within the rates of meter {meter.meter_id}")
    elif band.band.type is MeterBandType.DROP:
        ctx.stop(f"over the rate of meter {meter.meter_id}")
    else:
        ctx.note(f"over the rate of meter {meter.meter_id}: a worse drop precedence")
        _remark(ctx, band.band.prec_level)


def _remark(ctx: XlateContext, levels: int) -> None:
    dscp = _IP_DSCP.get(ctx.packet.key)
    worse = worse_precedence(dscp, levels)
    if worse != dscp:
        edit(ctx, SetField("ip_dscp", worse))
