"""The flows by which a bridge forwards while no controller decides: what a fail mode comes to in the tables.

``agent.fail_mode`` says when; here is what. In-band control's rules are above these flows and are left alone by both.
"""

from __future__ import annotations

from inband.flow.actions import ApplyActions, Output
from inband.flow.flow import Flow
from inband.flow.match import ANY
from inband.flow.origin import About, Origin, Owner
from inband.flow.ports import NORMAL
from inband.flow.priority import HiddenPriority, OpenFlowPriority
from inband.table.changes import Changes
from inband.table.table_set import TableSet
from inband.vocabulary.instant import Instant

# Below every in-band rule, above everything a controller can say: "in standalone mode the switch decides".
STANDALONE_PRIORITY = HiddenPriority(100_000)
STANDALONE = Origin(Owner.FAIL_MODE, "standalone", "fail mode", overrides_ports=False, about=About.OWNER)
_NORMALLY = (ApplyActions((Output(NORMAL),)),)


class FailModeFlows:
    """The flows of one bridge. Doing what is done already changes nothing."""

    def __init__(self, tables: TableSet) -> None:
        self._tables = tables
        self._standalone = Flow(ANY, STANDALONE_PRIORITY, _NORMALLY, origin=STANDALONE)

    def set_standalone(self, now: Instant, *, active: bool) -> Changes:
        """Forward by learning, whatever a controller's flows say, or by those."""
        if active:
            return self._tables.install_hidden(self._standalone, now)
        return self._tables.remove_hidden(self._standalone)

    def set_default_flow(self, now: Instant, *, active: bool) -> Changes:
        """Have or not have the flow of a bridge without controllers: priority 0, NORMAL, which dumps show."""
        if active:
            return self._tables.add(Flow(ANY, OpenFlowPriority(0), _NORMALLY), now)
        return self._tables.delete(0, ANY, priority=OpenFlowPriority(0))
