"""What the agent asks of the bridge, in order, beyond sending messages.

The bridge carries effects out before it sends the messages that were queued with them: that order is what makes a
BARRIER_REPLY true. The tables and the port table are changed already; what is left is the datapath's part.
"""

from __future__ import annotations

from dataclasses import dataclass

from inband.flow.actions import Action
from inband.flow.ports import PortNo
from inband.packet.frame import Frame
from inband.table.changes import Changes
from inband.vocabulary.values import value


@dataclass(frozen=True, slots=True)
class Execute:
    """Run a PACKET_OUT: translate the actions (TABLE included) for this frame and execute them."""

    in_port: PortNo
    frame: Frame
    actions: tuple[Action, ...]


@value(frozen=True, slots=True)
class FlowsChanged:
    """Flows were changed: what the datapath cached of earlier decisions may be wrong now."""

    changes: Changes


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    """A port's configuration, a group or what becomes of table misses: any cached decision may be wrong now."""


@dataclass(frozen=True, slots=True)
class MeterChanged:
    """A meter is new, has other bands, or is gone. Decisions of flows that lost it are told by FlowsChanged."""

    meter_id: int


Effect = Execute | FlowsChanged | MeterChanged | SettingsChanged
