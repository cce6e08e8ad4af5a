"""Messages whose work is long: carried out in steps, one message of a bridge at a time, while everything else goes on.

A FLOW_MOD that means a hundred thousand flows takes a tenth of a second and more, a sum over them too. Its handler is a
generator (``table.steps``); its steps are done when there is time. Until it is done, what else would change or count
flows waits, of all connections, so that each message sees the tables before it or after it. So do the messages behind
it on its own connection: OpenFlow lets a switch reorder them, but a barrier is cheap to get right this way. Packets,
echoes and everything about ports and controllers go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from inband.openflow import messages as m
from inband.openflow import multipart as mp
from inband.openflow.messages import Envelope, Message
from inband.table.steps import Steps

# Steps that are done at once when a message begins: what a few thousand flows cost is not worth a pause.
FIRST_STEPS: Final = 16

_NEED_TABLES: Final = (
    m.FlowMod,
    m.GroupMod,
    m.MeterMod,
    mp.FlowStatsRequest,
    mp.AggregateRequest,
    mp.TableStatsRequest,
    mp.TableFeaturesRequest,
    mp.GroupStatsRequest,
    mp.GroupDescRequest,
    mp.MeterStatsRequest,
    mp.MeterConfigRequest,
)


@dataclass(slots=True)
class Task:
    """A message that is being carried out."""

    connection: int
    envelope: Envelope
    steps: Steps[Message | None]

    def holds_up(self, connection: int, envelope: Envelope) -> bool:
        """Whether another message has to wait for this one."""
        return connection == self.connection or needs_tables(envelope)


def needs_tables(envelope: Envelope) -> bool:
    """Whether a message changes or counts flows, groups or meters."""
    return isinstance(envelope.message, _NEED_TABLES)
