"""The meters of a datapath in this process: the action ``Meter``, packet by packet (OpenFlow 1.3.5, 5.7)."""

from __future__ import annotations

from collections.abc import Callable

from inband.datapath.base import Counters
from inband.flow.actions import SetField
from inband.flow.fields import FIELDS
from inband.packet.edit import apply
from inband.packet.frame import Frame
from inband.packet.parse import parse
from inband.pipeline.dscp import worse_precedence
from inband.table.meters import MeterEntry
from inband.vocabulary.instant import Instant
from inband.vocabulary.openflow import MeterBandType

_IP_DSCP = FIELDS["ip_dscp"]


class Meters:
    """Meters by number, as the switch gave them; they hold their tokens and counters themselves."""

    def __init__(self, clock: Callable[[], Instant], counters: Counters) -> None:
        self._clock = clock
        self._counters = counters
        self._meters: dict[int, MeterEntry] = {}

    def put(self, meter_id: int, meter: MeterEntry | None) -> None:
        """As ``Datapath.set_meter``."""
        if meter is None:
            self._meters.pop(meter_id, None)
        else:
            self._meters[meter_id] = meter

    def get(self, meter_id: int) -> MeterEntry | None:
        """A meter, or None."""
        return self._meters.get(meter_id)

    def pass_by(self, meter_id: int, frame: Frame) -> Frame | None:
        """As ``execute.Outlet.meter``."""
        meter = self._meters.get(meter_id)
        band = meter.take(frame.segments, len(frame.data), self._clock()) if meter is not None else None
        if band is None:
            return frame
        if band.band.type is MeterBandType.DROP:
            self._counters.add("dropped_by_meter")
            return None
        return remark(frame, band.band.prec_level)


def remark(frame: Frame, levels: int) -> Frame:
    """The frame with a drop precedence that is worse by so many levels, if it is IP and has one."""
    dscp = _IP_DSCP.get(parse(frame.data, 0))
    worse = worse_precedence(dscp, levels)
    return frame if worse == dscp else apply(frame, SetField("ip_dscp", worse))
