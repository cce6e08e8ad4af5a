"""The queues of an interface as the kernel has them: leaf classes of an HTB queueing discipline with handle 1.

Queue N is class 1:(N + 1), as Open vSwitch's linux-htb numbers them; frames get there by their priority, which the
datapaths set. Read by rtnetlink when somebody asks, which takes well under a millisecond.

What must stay true: any bytes of the kernel's give queues or are skipped, and a refusal is a log line and no queues.
Source: linux/pkt_sched.h, linux/gen_stats.h, linux/rtnetlink.h.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterable

from inband.datapath.base import QueueState
from inband.errors import HostError
from inband.host.requests import Requests
from inband.host.rtnetlink import NLM_F_DUMP, Message, attributes
from inband.host.tc import TCA_KIND, TCA_OPTIONS, TCMSG

log = logging.getLogger(__name__)

_RTM_GETTCLASS = 42
_TCA_STATS2 = 7
_TCA_HTB_PARMS, _TCA_HTB_RATE64, _TCA_HTB_CEIL64 = 1, 6, 7
_TCA_STATS_BASIC, _TCA_STATS_QUEUE, _TCA_STATS_PKT64 = 1, 3, 8

_HTB_OPT = struct.Struct("=8xI8xIIIIII")  # rate's and ceil's bytes/s, buffer, cbuffer, quantum, level, prio
_BASIC = struct.Struct("=QI")  # bytes, packets
_QUEUE = struct.Struct("=IIIII")  # length, backlog, drops, requeues, overlimits
_U64 = struct.Struct("=Q")

_MAJOR = 1


def read_queues(interface: str) -> tuple[QueueState, ...]:
    """The queues of an interface in this network namespace, by number."""
    try:
        with Requests() as requests:
            link = requests.link(interface)
            if link is None:
                return ()
            body = TCMSG.pack(0, link.index, 0, 0, 0)
            return decode_classes(
                requests.send_raw(f"read the queues of {interface}", _RTM_GETTCLASS, NLM_F_DUMP, body)
            )
    except HostError as error:
        log.warning("%s: its queues are shown as none", error)
        return ()


def decode_classes(messages: Iterable[Message]) -> tuple[QueueState, ...]:
    """The queues among traffic classes (RTM_NEWTCLASS)."""
    found = (_decode(message.body) for message in messages)
    return tuple(sorted((queue for queue in found if queue is not None), key=lambda queue: queue.queue_id))


def _decode(body: bytes) -> QueueState | None:
    """A leaf class of HTB as a queue; None for every other class, and for rubbish."""
    try:
        _, _, handle, _, _ = TCMSG.unpack_from(body)
        found = attributes(body, TCMSG.size)
        options = attributes(found[TCA_OPTIONS], 0)
        rate, ceil, _, _, _, level, _ = _HTB_OPT.unpack_from(options[_TCA_HTB_PARMS])
        is_queue = found[TCA_KIND].rstrip(b"\0") == b"htb" and handle >> 16 == _MAJOR and handle & 0xFFFF and not level
        if not is_queue:
            return None
        packets, bytes_, drops = _counters(attributes(found.get(_TCA_STATS2, b""), 0))
        rate64, ceil64 = options.get(_TCA_HTB_RATE64), options.get(_TCA_HTB_CEIL64)
        rate = _U64.unpack(rate64)[0] if rate64 else rate
        ceil = _U64.unpack(ceil64)[0] if ceil64 else ceil
    except (KeyError, ValueError, struct.error):
        return None
    return QueueState((handle & 0xFFFF) - 1, rate * 8, ceil * 8, packets, bytes_, drops)


def _counters(stats: dict[int, bytes]) -> tuple[int, int, int]:
    """(packets, bytes, drops) of a class."""
    bytes_, packets = _BASIC.unpack_from(stats[_TCA_STATS_BASIC])
    _, _, drops, _, _ = _QUEUE.unpack_from(stats[_TCA_STATS_QUEUE])
    if _TCA_STATS_PKT64 in stats:
        (packets,) = _U64.unpack_from(stats[_TCA_STATS_PKT64])
    return packets, bytes_, drops
