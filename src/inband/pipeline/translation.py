"""What the pipeline answers: actions, the bits that mattered, and all that keeping the answer takes."""

from __future__ import annotations

from typing import NamedTuple

from inband.flow.actions import DatapathAction
from inband.flow.flow import Flow
from inband.flow.ports import PortNo
from inband.pipeline.fdb import FdbKey
from inband.table.groups import Counter
from inband.table.table_set import Credit


class Translation(NamedTuple):
    """The decision for one packet.

    Every packet that agrees with it on ``mask`` gets ``actions`` too, for as long as tables, ports, groups, the
    stations of ``fdb_keys`` and the pipeline's settings stay as they are; if ``cacheable`` is False, only this one
    packet does. ``credits`` are the lookups that each packet so decided counts to, ``counted`` the groups and their
    buckets, ``station`` is the (MAC table entry, port) that each confirms. ``learned``: the MAC table has changed, in
    the entry of ``station``; cached decisions that have it among their ``fdb_keys`` are stale. ``hidden`` is the hidden
    flow that decided, if one did. ``to_station``: all that happens to the packet is that it goes out of one port,
    behind which its destination was learned. ``drop_reason`` says why there are no actions, where there are none.
    """

    actions: tuple[DatapathAction, ...]
    mask: int
    cacheable: bool = True
    credits: tuple[Credit, ...] = ()
    hidden: Flow | None = None
    learned: bool = False
    fdb_keys: tuple[FdbKey, ...] = ()
    station: tuple[FdbKey, PortNo] | None = None
    drop_reason: str | None = None
    counted: tuple[Counter, ...] = ()
    to_station: bool = False
