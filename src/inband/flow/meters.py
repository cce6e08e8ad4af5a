"""What a meter is made of (OpenFlow 1.3.5, 5.7)."""

from __future__ import annotations

from dataclasses import dataclass

from inband.vocabulary.openflow import MeterBandType


@dataclass(frozen=True, slots=True)
class MeterBand:
    """What a meter does above a rate (7.3.4.4). ``rate`` and ``burst_size`` in the unit that the meter's flags say.

    ``prec_level`` counts for DSCP_REMARK, ``experimenter`` for EXPERIMENTER.
    """

    type: MeterBandType
    rate: int
    burst_size: int = 0
    prec_level: int = 0
    experimenter: int = 0
