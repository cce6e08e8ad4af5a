"""The queues of an interface as the kernel has them: leaf classes of an HTB queueing discipline with handle 1.

Whoever made them: the switch for a row of Open vSwitch's database (``host.shaping``), or people with `tc`. Read by
rtnetlink when they are asked for, which takes well under a millisecond.

Invariants: any bytes of the kernel's give queues, or are skipped and counted; a refusal is a log line and no queues.
Source: linux/pkt_sched.h, linux/gen_stats.h, linux/rtnetlink.h.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterable

from inband.datapath.base import QueueState
from inband.errors import HostError, WireError
from inband.host import codec, htb, tc
from inband.host.codec import Attributes
from inband.host.netlink_socket import Trouble
from inband.host.requests import Requests

log = logging.getLogger(__name__)

_TCA_STATS2 = 7
_TCA_STATS_BASIC, _TCA_STATS_QUEUE, _TCA_STATS_PKT64 = 1, 3, 8

_BASIC = struct.Struct("=QI")  # bytes, packets
_QUEUE = struct.Struct("=IIIII")  # length, backlog, drops, requeues, overlimits


def read_queues(interface: str, trouble: Trouble) -> tuple[QueueState, ...]:
    """The queues of an interface in this network namespace, by number. What cannot be read goes to ``trouble``."""
    try:
        with Requests() as requests:
            link = requests.link(interface)
            if link is None:
                return ()
            wanted = tc.TCMSG.pack(0, link.index, 0, 0, 0)
            operation = f"read the queues of {interface}"
            return decode_classes(requests.ask(operation, htb.RTM_GETTCLASS, wanted, bytes, dump=True), trouble)
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
            trouble.malformed(htb.RTM_NEWTCLASS, body, error)
            continue
        if queue is not None:
            queues.append(queue)
    return tuple(sorted(queues, key=lambda queue: queue.queue_id))


def _decode(body: bytes) -> QueueState | None:
    """A leaf class of HTB as a queue, None for every other class; raises WireError."""
    found = htb.read(body)
    if found is None:
        return None
    said, attributes, is_leaf = found
    if not is_leaf:
        return None
    number, burst = said.handle - htb.HANDLE - 1, 8 * htb.size_of(said.burst, said.rate)
    return QueueState(number, said.rate * 8, said.ceil * 8, *_counters(attributes), burst, said.priority)


def _counters(attributes: Attributes) -> tuple[int, int, int]:
    """Packets, bytes and drops of a class."""
    stats = codec.attributes(attributes.get(_TCA_STATS2, b""))
    bytes_, packets = codec.fields(_BASIC, stats.get(_TCA_STATS_BASIC, b""))
    _, _, drops, _, _ = codec.fields(_QUEUE, stats.get(_TCA_STATS_QUEUE, b""))
    return htb.wide(stats, _TCA_STATS_PKT64, packets), bytes_, drops
