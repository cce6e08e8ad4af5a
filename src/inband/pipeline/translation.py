"""What the pipeline answers: actions, the bits that mattered, and all that keeping the answer takes."""

from __future__ import annotations

from typing import NamedTuple

from inband.flow.actions import DatapathAction
from inband.flow.flow import Flow
from inband.flow.ports import PortNo
from inband.pipeline.fdb import FdbKey
from inband.table.groups import Counter
from inband.table.table_set import Credit
from inband.vocabulary.addresses import Mac


class Translation(NamedTuple):
    """The decision for one packet; nothing changes it once it is made, and nothing else holds what it says.

    A cached decision (``datapath.base.Megaflow``) is a Translation with the packets that it is for.

    - ``actions``: what a datapath does with the packet; ``drop_reason``: why there are none, where there are none.
    - ``mask``: every packet that agrees with this one on these bits gets the same actions, for as long as tables,
      groups, ports, the FDB entries of ``fdb_keys`` and the pipeline's settings stay as they are. If ``cacheable`` is
      False, only this one packet does.
    - ``credits``: the lookups that each packet so decided counts to; ``counters``: the groups and buckets.
    - ``source``: the (FDB entry, port) that each packet so decided confirms, if it came by NORMAL.
    - ``hidden``: the hidden flow that decided, if one did.
    - ``is_known_unicast``: the packet goes out of one port, behind which its destination was learned, and nowhere else;
      on its way headers may be changed and meters asked.
    - ``lost``: the destination of a packet of in-band control that is flooded because its place is not known.
    - ``waits_for``: the station to which a packet of in-band control is to find a way in a moment (``waiting``).
    """

    actions: tuple[DatapathAction, ...]
    mask: int
    cacheable: bool = True
    credits: tuple[Credit, ...] = ()
    counters: tuple[Counter, ...] = ()
    fdb_keys: tuple[FdbKey, ...] = ()
    source: tuple[FdbKey, PortNo] | None = None
    hidden: Flow | None = None
    is_known_unicast: bool = False
    drop_reason: str | None = None
    lost: Mac | None = None
    waits_for: Mac | None = None
