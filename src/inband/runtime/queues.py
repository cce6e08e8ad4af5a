"""The queues of an interface as the kernel has them: leaf classes of an HTB queueing discipline with handle 1.

Queue N is class 1:(N + 1), as Open vSwitch's linux-htb numbers them; frames get there by their priority, which the
datapaths set. Read by rtnetlink when they are asked for, which takes well under a millisecond.

Invariants: any bytes of the kernel's give queues, or are skipped and counted; a refusal is a log line and no queues.
Source: linux/pkt_sched.h, linux/gen_stats.h, linux/rtnetlink.h.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterable, Sequence

from inband.datapath.base import QueueState
from inband.errors import HostError, WireError
from inband.host import codec, tc
from inband.host.codec import Attributes
from inband.host.netlink_socket import Trouble
from inband.host.requests import Requests

log = logging.getLogger(__name__)

_RTM_NEWTCLASS, _RTM_GETTCLASS = 40, 42
_TCA_STATS2 = 7
_TCA_HTB_PARMS, _TCA_HTB_RATE64, _TCA_HTB_CEIL64 = 1, 6, 7
_TCA_STATS_BASIC, _TCA_STATS_QUEUE, _TCA_STATS_PKT64 = 1, 3, 8

_HTB_OPT = struct.Struct("=8xI8xIIIIII")  # rate's and ceil's bytes/s, buffer, cbuffer, quantum, level, prio
_BASIC = struct.Struct("=QI")  # bytes, packets
_QUEUE = struct.Struct("=IIIII")  # length, backlog, drops, requeues, overlimits
_MAJOR = 1


def read_queues(interface: str, trouble: Trouble) -> tuple[QueueState, ...]:
    """The queues of an interface in this network namespace, by number. What cannot be read goes to ``trouble``."""
    try:
        with Requests() as requests:
            link = requests.link(interface)
            if link is None:
                return ()
            wanted = tc.TCMSG.pack(0, link.index, 0, 0, 0)
            operation = f"read the queues of {interface}"
            return decode_classes(requests.ask(operation, _RTM_GETTCLASS, wanted, bytes, dump=True), trouble)
    except HostError as error:
        log.warning("%s: its queues are shown as none", error)
        return ()


def decode_classes(bodies: Iterable[bytes], trouble: Trouble) -> tuple[QueueState, ...]:
    """The queues among traffic classes (RTM_NEWTCLASS)."""
    queues = []
    for body in bodies:
        try:
            queue = _decode(body)
        except WireError as error:
            trouble.malformed(_RTM_NEWTCLASS, body, error)
            continue
        if queue is not None:
            queues.append(queue)
    return tuple(sorted(queues, key=lambda queue: queue.queue_id))


def _decode(body: bytes) -> QueueState | None:
    """A leaf class of HTB as a queue, None for every other class; raises WireError."""
    said = tc.read(body)
    minor = said.handle & 0xFFFF
    if said.kind != "htb" or said.handle >> 16 != _MAJOR or not minor:
        return None
    options = said.options
    rate, ceil, _, _, _, level, _ = codec.fields(_HTB_OPT, options.get(_TCA_HTB_PARMS, b""))
    if level:
        return None
    rate, ceil = _number(options, _TCA_HTB_RATE64, rate), _number(options, _TCA_HTB_CEIL64, ceil)
    return QueueState(minor - 1, rate * 8, ceil * 8, *_counters(said.attributes))


def _counters(attributes: Attributes) -> Sequence[int]:
    """Packets, bytes and drops of a class."""
    stats = codec.attributes(attributes.get(_TCA_STATS2, b""))
    bytes_, packets = codec.fields(_BASIC, stats.get(_TCA_STATS_BASIC, b""))
    _, _, drops, _, _ = codec.fields(_QUEUE, stats.get(_TCA_STATS_QUEUE, b""))
    return _number(stats, _TCA_STATS_PKT64, packets), bytes_, drops


def _number(found: Attributes, kind: int, otherwise: int) -> int:
    """A number of 64 bits, which the kernel gives only where one of 32 does not do."""
    return codec.as_number(found[kind], 8) if kind in found else otherwise
