"""QUEUE_GET_CONFIG and QUEUE_STATS (OpenFlow 1.3.5, 7.3.6 and 7.3.5.8): the queues that the system has made.

Queues are the host's (``tc``, HTB); a controller uses them by set_queue, reads them here, and cannot make them.
"""

from __future__ import annotations

from collections.abc import Iterator

from inband.agent.connection import Connection
from inband.agent.long_reply import LongReply
from inband.agent.refusal import RefusalError
from inband.agent.switch import Switch
from inband.datapath.base import QueueState
from inband.flow import ports
from inband.flow.ports import PortNo
from inband.openflow.constants import QueuePropertyType
from inband.openflow.messages import QueueGetConfigReply, QueueGetConfigRequest
from inband.openflow.multipart import QueueStats, QueueStatsReply, QueueStatsRequest
from inband.openflow.parts import QueueDescription, QueueProperty
from inband.vocabulary.instant import Instant
from inband.vocabulary.openflow import ALL_QUEUES
from inband.vocabulary.openflow_errors import QueueOpFailed

# The kernel does not say since when a class is there; tools show this as "unknown".
_UNKNOWN_DURATION = 0xFFFFFFFF
_WHOLE = 1000  # rates are in 1/10 of a percent of the port's speed (7.2.2)


def queue_config(switch: Switch, _: Connection, request: QueueGetConfigRequest, __: Instant) -> QueueGetConfigReply:
    """QUEUE_GET_CONFIG: the queues of a port, or of all."""
    found = [
        QueueDescription(queue.queue_id, port, _properties(switch, port, queue))
        for port in _wanted(switch, request.port, (ports.ANY,))
        for queue in switch.statistics.queues(port)
    ]
    return QueueGetConfigReply(request.port, tuple(found))


def queue_stats(switch: Switch, _: Connection, request: QueueStatsRequest, __: Instant) -> LongReply:
    """QUEUE: one queue or all, of one port or of all; a queue that is nowhere is BAD_QUEUE."""
    wanted = _wanted(switch, request.port, (ports.ANY, ports.ALL))
    return LongReply(_queue_replies(switch, wanted, request.queue_id))


def _queue_replies(switch: Switch, wanted: list[PortNo], queue_id: int) -> Iterator[QueueStatsReply | None]:
    """The queues of a port at a time, for the kernel is asked for them; the last one's without ``more``."""
    found: list[QueueStats] = []
    is_anywhere = queue_id == ALL_QUEUES
    for port in wanted:
        if found:
            yield QueueStatsReply(tuple(found), more=True)
        queues = switch.statistics.queues(port)
        found = [_entry(port, queue) for queue in queues if queue_id in (ALL_QUEUES, queue.queue_id)]
        is_anywhere |= bool(found)
        yield None
    if not is_anywhere:
        raise RefusalError(QueueOpFailed.BAD_QUEUE, f"there is no queue {queue_id}")
    yield QueueStatsReply(tuple(found))


def _entry(port: PortNo, queue: QueueState) -> QueueStats:
    return QueueStats(
        port=port,
        queue_id=queue.queue_id,
        tx_bytes=queue.tx_bytes,
        tx_packets=queue.tx_packets,
        tx_errors=queue.tx_errors,
        duration_sec=_UNKNOWN_DURATION,
        duration_nsec=_UNKNOWN_DURATION,
    )


def _wanted(switch: Switch, port: PortNo, all_ports: tuple[PortNo, ...]) -> list[PortNo]:
    if port in all_ports:
        return [each.number for each in switch.ports]
    if switch.ports.get(port) is None:
        raise RefusalError(QueueOpFailed.BAD_PORT, f"there is no port {port}")
    return [port]


def _properties(switch: Switch, port: PortNo, queue: QueueState) -> tuple[QueueProperty, ...]:
    """The queue's rates as parts of the port's speed; none where that is not known."""
    described = switch.ports.get(port)
    speed_kbps = described.link.current_speed_kbps if described else 0
    rates = ((QueuePropertyType.MIN_RATE, queue.min_rate_bps), (QueuePropertyType.MAX_RATE, queue.max_rate_bps))
    if not speed_kbps:
        return ()
    return tuple(QueueProperty(kind, min(_WHOLE, rate // speed_kbps)) for kind, rate in rates if rate)
