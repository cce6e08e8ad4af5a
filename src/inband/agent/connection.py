"""What the agent knows of one OpenFlow connection: its kind, role, wishes, and the messages that wait for it.

A *controller* counts for fail mode and roles and gets asynchronous messages from the start. A *management* connection
(ovs-ofctl on BRIDGE.mgmt) counts for nothing and gets asynchronous messages only after it asked: by a miss_send_len
above 0, as ``ovs-ofctl monitor`` does it, or by setting its asynchronous configuration.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum

from inband.agent.long_reply import LongReply
from inband.agent.refusal import RefusalError
from inband.flow.actions import PacketInReason
from inband.openflow.messages import Envelope, Error, Message
from inband.openflow.parts import AsyncMasks
from inband.vocabulary.openflow import DEFAULT_MISS_SEND_LEN, FlowRemovedReason, PortReason, Role
from inband.vocabulary.rate_limit import RateLimit


class Kind(Enum):
    """Who is on the other end."""

    CONTROLLER = "controller"
    MANAGEMENT = "management"


def _bits(*reasons: int) -> int:
    return sum(1 << reason for reason in reasons)


DEFAULT_MASKS = AsyncMasks(
    packet_in=_bits(PacketInReason.NO_MATCH, PacketInReason.ACTION),
    port_status=_bits(*PortReason),
    port_status_slave=_bits(*PortReason),
    flow_removed=_bits(*FlowRemovedReason),
)
"""What a controller gets before it says otherwise: all but INVALID_TTL; a slave hears of ports only (1.3.5, 6.3.6).

INVALID_TTL was off in OpenFlow 1.2 unless asked for (OFPC_INVALID_TTL_TO_CONTROLLER), and controllers rely on it.
"""


@dataclass(slots=True, eq=False)
class Connection:
    """One connection; ``version`` is what its session agreed on. Counters are for people."""

    id: int
    kind: Kind
    version: int
    packet_in_limit: RateLimit
    role: Role = Role.EQUAL
    masks: AsyncMasks = DEFAULT_MASKS
    miss_send_len: int = DEFAULT_MISS_SEND_LEN
    controller_id: int = 0
    is_nicira_flow_format: bool = False
    is_nicira_packet_in: bool = False
    has_asked_for_events: bool = False
    packet_ins_limited: int = 0
    outgoing: deque[Envelope] = field(default_factory=deque)
    reply: tuple[Envelope, LongReply] | None = None  # with what asked for it

    @property
    def is_slave(self) -> bool:
        """Whether it may only look."""
        return self.role is Role.SLAVE

    def push(self, message: Message, xid: int = 0) -> None:
        """Queue a message; asynchronous ones have transaction id 0."""
        self.outgoing.append(Envelope(self.version, xid, message))

    def take(self) -> list[Envelope]:
        """Messages to send now, in order."""
        envelopes = list(self.outgoing)
        self.outgoing.clear()
        return envelopes

    def go_on_with_reply(self) -> None:
        """Make one part of the long reply that is under way."""
        if self.reply is None:
            return
        request, long_reply = self.reply
        try:
            part = next(long_reply.parts)
        except RefusalError as refusal:
            self.reply = None
            self.push(Error(refusal.type, refusal.code, request.head), request.xid)
            return
        if part is not None:
            self.push(part, request.xid)
            if not getattr(part, "more", False):
                self.reply = None

    def wants_packet_in(self, reason: int) -> bool:
        """Whether it gets packet-ins for this reason (OFPR_*) now."""
        return self._is_set(reason, self.masks.packet_in_slave if self.is_slave else self.masks.packet_in)

    def wants_port_status(self, reason: int) -> bool:
        """Whether it gets port status messages for this reason (OFPPR_*) now."""
        return self._is_set(reason, self.masks.port_status_slave if self.is_slave else self.masks.port_status)

    def wants_flow_removed(self, reason: int) -> bool:
        """Whether it gets flow removed messages for this reason (OFPRR_*) now."""
        return self._is_set(reason, self.masks.flow_removed_slave if self.is_slave else self.masks.flow_removed)

    def _is_set(self, reason: int, mask: int) -> bool:
        return (self.kind is Kind.CONTROLLER or self.has_asked_for_events) and bool(mask >> reason & 1)


def default_miss_send_len(kind: Kind) -> int:
    """Before SET_CONFIG: nothing is sent to a management connection, so it says 0 there, as Open vSwitch does."""
    return DEFAULT_MISS_SEND_LEN if kind is Kind.CONTROLLER else 0
