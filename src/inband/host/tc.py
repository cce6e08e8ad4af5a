"""Traffic control in rtnetlink's words: what all who put something at an interface's ingress or look there have in
common.

Invariants: any bytes at all give values or WireError, nothing else.

Sources: linux/rtnetlink.h, linux/pkt_sched.h, tc(8).
"""

from __future__ import annotations

import errno
import struct
from typing import NamedTuple

from inband.errors import HostError
from inband.host import codec
from inband.host.codec import Attributes, Message
from inband.host.requests import Change, Requests

RTM_NEWTFILTER, RTM_DELTFILTER = 44, 45
RTM_NEWQDISC, RTM_DELQDISC = 36, 37
_RTM_GETQDISC, _RTM_GETTFILTER = 38, 46
_ABOUT_AN_INTERFACE = (36, 40, 44, 100)  # RTM_NEWQDISC, RTM_NEWTCLASS, RTM_NEWTFILTER, RTM_NEWCHAIN, and RTM_DEL...

TCMSG = struct.Struct("=BxxxiIII")
"""Family, interface index, handle, parent, info."""

TCA_KIND, TCA_OPTIONS = 1, 2
INGRESS, EGRESS = 0xFFFFFFF2, 0xFFFFFFF3
"""Parents of the filters of clsact."""
ROOT = 0xFFFFFFFF
"""Parent of the discipline that all frames leave by."""
_ETH_P_ALL_BE = 0x0300

TCA_BPF_OPS_LEN, TCA_BPF_OPS, TCA_BPF_FD, TCA_BPF_NAME = 4, 5, 6, 7
_TCA_BPF_FLAGS, _BPF_FLAG_ACT_DIRECT = 8, 1

_WITH_ATTRIBUTES = ("bpf", "htb")  # the options of many other kinds are structs
_CLSACT_HANDLE, _CLSACT_PARENT = 0xFFFF0000, 0xFFFFFFF1
_NO_FILTERS = (errno.EINVAL, errno.ENOENT, errno.EOPNOTSUPP)  # no such qdisc, or a kernel without tc


class Entry(NamedTuple):
    """A queueing discipline, class or filter; ``kind`` is its name, ``options`` what only that kind has."""

    handle: int
    kind: str
    attributes: Attributes
    options: Attributes


def read(body: bytes) -> Entry:
    """What a message says; raises WireError."""
    _, _, handle, _, _ = codec.fields(TCMSG, body)
    found = codec.attributes(body, TCMSG.size)
    kind = codec.as_text(found.get(TCA_KIND, b""))
    options = found.get(TCA_OPTIONS, b"") if kind in _WITH_ATTRIBUTES else b""
    return Entry(handle, kind, found, codec.attributes(options))


def interface_of(message: Message) -> int | None:
    """The index of the interface that a notification is about; raises WireError.

    None: it may be any, for what interfaces share (actions, and blocks of filters: TCM_IFINDEX_MAGIC_BLOCK).
    """
    if message.kind & ~3 not in _ABOUT_AN_INTERFACE:
        return None
    index = codec.fields(TCMSG, message.body)[1]
    return index if index > 0 else None


def is_about_ingress_filter(message: Message) -> bool:
    """Whether a notification is about nothing but a filter at an interface's ingress; raises WireError."""
    if message.kind not in (RTM_NEWTFILTER, RTM_DELTFILTER):
        return False
    return bool(codec.fields(TCMSG, message.body)[3] == INGRESS)


def body(index: int, handle: int, parent: int, info: int, kind: str, options: bytes = b"") -> bytes:
    """A message's body: struct tcmsg, what kind of thing it is about, and its options if there are any."""
    head = TCMSG.pack(0, index, handle, parent, info) + codec.text(TCA_KIND, kind)
    return head + (codec.attribute(TCA_OPTIONS, options) if options else b"")


def bpf_filter(index: int, priority: int, *program: bytes) -> bytes:
    """The body for a filter of all frames at an interface's ingress, by a BPF program that says what becomes of each.

    ``program`` are the attributes that tell which one; none to name the filter that is there.
    """
    options = b"".join((*program, codec.number(_TCA_BPF_FLAGS, _BPF_FLAG_ACT_DIRECT, 4))) if program else b""
    return body(index, 1, INGRESS, priority << 16 | _ETH_P_ALL_BE, "bpf", options)


def add_clsact(requests: Requests, index: int) -> bool:
    """Have a place for filters at an interface's ingress and egress; whether there was none. Raises HostError."""
    try:
        requests.change(f"add clsact to interface {index}", *clsact_change(index))
    except HostError as error:
        if error.errno != errno.EEXIST:
            raise
        return False
    return True


def has_clsact(requests: Requests, index: int) -> bool:
    """Whether there is such a place, whoever made it. Raises HostError."""
    try:
        # The answer itself goes to whoever listens to changes: that there is one is enough.
        requests.change(f"look for clsact at interface {index}", _RTM_GETQDISC, 0, _clsact(index))
    except HostError as error:
        if error.errno in _NO_FILTERS:
            return False
        raise
    return True


def clsact_change(index: int) -> Change:
    """The change that makes it, for ``Requests.change_together``; refused where there is one."""
    return RTM_NEWQDISC, codec.NLM_F_CREATE | codec.NLM_F_EXCL, _clsact(index)


def delete_clsact(requests: Requests, index: int) -> None:
    """Remove it, with all filters in it. Raises HostError."""
    requests.change(f"remove clsact from interface {index}", RTM_DELQDISC, 0, _clsact(index))


def root_discipline(requests: Requests, index: int) -> Entry | None:
    """The discipline that an interface's frames leave by. Raises HostError.

    None when the interface is gone, and for disciplines that the kernel does not show. Its own defaults that it shows
    have the handle 0.
    """
    asked = TCMSG.pack(0, index, 0, ROOT, 0)
    try:
        operation = f"look at the queueing discipline of interface {index}"
        answers = requests.ask(operation, _RTM_GETQDISC, asked, read, echo=True)
    except HostError as error:
        if error.errno in (*_NO_FILTERS, errno.ENODEV):
            return None
        raise
    return answers[0] if answers else None


def filters(requests: Requests, index: int, parent: int) -> list[Entry]:
    """The filters there: each priority by itself (handle 0), and each filter. Raises HostError.

    None where nothing is that could have filters.
    """
    asked = TCMSG.pack(0, index, 0, parent, 0)
    try:
        return requests.ask(f"look at the tc filters of interface {index}", _RTM_GETTFILTER, asked, read, dump=True)
    except HostError as error:
        if error.errno in _NO_FILTERS:
            return []
        raise


def _clsact(index: int) -> bytes:
    return body(index, _CLSACT_HANDLE, _CLSACT_PARENT, 0, "clsact")
