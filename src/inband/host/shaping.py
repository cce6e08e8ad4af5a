"""The queueing discipline of a port: made, changed while it works, and taken away again.

A discipline that is asked for takes the place of whatever is there, as with Open vSwitch; one that is asked for no more
leaves the kernel's own default. A discipline that others made, where none is asked for, is left alone. Which are ours
the kernel remembers: an HTB by a mark in it (``htb``), others by their handle. So a switch that was killed
finds its own.

Invariants: classes that are as they should be are not touched, nor is the discipline when only classes differ: what
waits in other queues goes on waiting. A new discipline and its classes are made in one system call.
All work in the calling thread's network namespace. Taking a discipline away makes the kernel wait until no processor
sends by it: some 10 ms. Sources: linux/pkt_sched.h, net/sched/sch_api.c, ovs-vswitchd.conf.db(5), QoS and Queue tables.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

from inband.errors import HostError
from inband.host import codec, htb, tc
from inband.host.htb import HtbClass
from inband.host.link_settings import read_link_settings
from inband.host.requests import Change, Requests
from inband.host.rtnetlink import Link
from inband.vocabulary.queueing import PortQos, QosKind, QueueConfig

# "If not specified ... and the link rate cannot be determined, the default is currently 100 Mbps" (QoS, max-rate).
DEFAULT_RATE_BPS = 100_000_000

# Frames are this much longer than the MTU at most: addresses, type, and a VLAN tag with room to spare.
_AROUND_MTU = 64
_HIGHEST_PRIORITY = 7  # TC_HTB_NUMPRIO - 1; the kernel lowers what is above
_OUR_HANDLE = 0x1B0D0000
_CREATE = codec.NLM_F_CREATE | codec.NLM_F_EXCL


def shape(index: int, qos: PortQos) -> None:
    """Give an interface this discipline; one that is gone is no error. Raises HostError."""
    if qos.kind is QosKind.NOOP:
        unshape(index)
        return
    with Requests() as requests:
        link = requests.link_at(index)
        if link is None:
            return
        found = tc.root_discipline(requests, index)
        if qos.kind is QosKind.HTB:
            speed_bps = read_link_settings(link.name).current_speed_kbps * 1000
            _have_queues(requests, link, found, wanted_classes(qos, link.mtu, speed_bps))
        else:
            _have_plain(requests, link, found, qos.kind.removeprefix("linux-"))


def unshape(index: int) -> None:
    """Take away the discipline that ``shape`` made, if one is there. Raises HostError."""
    with Requests() as requests:
        _unshape(requests, index)


def unshape_by_name(interface: str) -> None:
    """The same for an interface that a switch which died has left; one that is gone is no error. Raises HostError."""
    with Requests() as requests:
        link = requests.link(interface)
        if link is not None:
            _unshape(requests, link.index)


def _unshape(requests: Requests, index: int) -> None:
    found = tc.root_discipline(requests, index)
    if found is not None and _is_ours(found):
        requests.change(f"remove the queues of interface {index}", *_removal(index))


def wanted_classes(qos: PortQos, mtu: int, speed_bps: int) -> dict[int, HtbClass]:
    """The classes by handle: that above all queues first. There is always a queue 0.

    ``mtu`` is in bytes, ``speed_bps`` the link's (0: unknown), which is the limit where none is said.
    A queue is promised a frame per second at least, for HTB knows no rate of 0, and gets no less than it is promised
    and no more than all together.
    """
    limit = max((qos.max_rate_bps or speed_bps or DEFAULT_RATE_BPS) // 8, mtu)
    burst = htb.ticks(mtu + _AROUND_MTU, limit)
    top = HtbClass(htb.LIMIT, tc.ROOT, limit, limit, burst, burst, htb.quantum_of(limit, mtu))
    queues = {0: QueueConfig(), **dict(qos.queues)}
    return {htb.LIMIT: top} | {
        htb.HANDLE | number + 1: _class(number, queue, limit, mtu) for number, queue in sorted(queues.items())
    }


def _class(number: int, queue: QueueConfig, limit: int, mtu: int) -> HtbClass:
    rate = min(max((queue.min_rate_bps or 0) // 8, mtu), limit)
    ceil = min(max((queue.max_rate_bps or limit * 8) // 8, rate), limit)
    size = max((queue.burst_bits or 0) // 8, mtu + _AROUND_MTU)
    bursts = htb.ticks(size, rate), htb.ticks(size, ceil)
    quantum, priority = htb.quantum_of(rate, mtu), min(queue.priority, _HIGHEST_PRIORITY)
    return HtbClass(htb.HANDLE | number + 1, htb.LIMIT, rate, ceil, *bursts, quantum, priority)


def _have_queues(requests: Requests, link: Link, found: tc.Entry | None, wanted: dict[int, HtbClass]) -> None:
    """Have an HTB with these classes: what differs is changed, in one datagram."""
    present: dict[int, HtbClass] = {}
    changes: list[Change] = []
    if found is not None and found.kind == "htb" and _is_ours(found):
        present = _present_classes(requests, link)
    else:
        made = tc.body(link.index, htb.HANDLE, tc.ROOT, 0, "htb", htb.discipline_options())
        changes += _instead_of(found, link.index, made)
    changes += class_changes(link.index, present, wanted)
    _carry_out(requests, f"give {link.name} queues", changes, "htb")


def class_changes(index: int, present: Mapping[int, HtbClass], wanted: Mapping[int, HtbClass]) -> list[Change]:
    """What makes an interface's classes those that are wanted, by handle; the others are not mentioned."""
    differing = [each for each in wanted.values() if each.handle not in present or present[each.handle] != each]
    made = [tc.body(index, each.handle, each.parent, 0, "htb", each.body) for each in differing]
    gone = [tc.TCMSG.pack(0, index, handle, 0, 0) for handle in sorted(present.keys() - wanted.keys())]
    return [(htb.RTM_NEWTCLASS, codec.NLM_F_CREATE, body) for body in made] + [
        (htb.RTM_DELTCLASS, 0, body) for body in gone
    ]


def _present_classes(requests: Requests, link: Link) -> dict[int, HtbClass]:
    asked = tc.TCMSG.pack(0, link.index, 0, 0, 0)
    answers = requests.ask(f"look at the queues of {link.name}", htb.RTM_GETTCLASS, asked, htb.read, dump=True)
    return {each.handle: each for each, _, _ in answers}


def _have_plain(requests: Requests, link: Link, found: tc.Entry | None, kind: str) -> None:
    """Have a discipline without classes, as the kernel makes it."""
    if found is not None and found.kind == kind and _is_ours(found):
        return
    made = tc.body(link.index, _OUR_HANDLE, tc.ROOT, 0, kind)
    _carry_out(requests, f"give {link.name} the discipline {kind}", _instead_of(found, link.index, made), kind)


def _instead_of(found: tc.Entry | None, index: int, made: bytes) -> list[Change]:
    removed = [_removal(index)] if found is not None and found.handle else []  # the kernel's own default has no handle
    return [*removed, (tc.RTM_NEWQDISC, _CREATE, made)]


def _removal(index: int) -> Change:
    return tc.RTM_DELQDISC, 0, tc.TCMSG.pack(0, index, 0, tc.ROOT, 0)


def _is_ours(found: tc.Entry) -> bool:
    return htb.is_ours(found.options) if found.kind == "htb" else found.handle == _OUR_HANDLE


def _carry_out(requests: Requests, operation: str, changes: list[Change], kind: str) -> None:
    if not changes:
        return
    try:
        requests.change_together(operation, *changes)
    except HostError as error:
        if error.errno != errno.ENOENT:
            raise
        hint = f"this kernel has no queueing discipline {kind}: `modprobe sch_{kind}`, or choose another type"
        raise HostError(operation, hint, errno=error.errno) from error
