"""Traffic control in rtnetlink's words: what all who put something at an interface's ingress or look there have in
common.

Sources: linux/rtnetlink.h, linux/pkt_sched.h, tc(8).
"""

from __future__ import annotations

import errno
import struct

from inband.errors import HostError
from inband.host import rtnetlink
from inband.host.requests import NLM_F_EXCL, Requests

RTM_NEWTFILTER, RTM_DELTFILTER = 44, 45
_RTM_NEWQDISC, _RTM_DELQDISC, _RTM_GETTFILTER = 36, 37, 46

TCMSG = struct.Struct("=BxxxiIII")
"""Family, interface index, handle, parent, info."""

TCA_KIND, TCA_OPTIONS = 1, 2
INGRESS, EGRESS = 0xFFFFFFF2, 0xFFFFFFF3
"""Parents of the filters of clsact."""
ETH_P_ALL_BE = 0x0300
BPF_FLAG_ACT_DIRECT = 1

_CLSACT_HANDLE, _CLSACT_PARENT = 0xFFFF0000, 0xFFFFFFF1
_NO_FILTERS = (errno.EINVAL, errno.ENOENT, errno.EOPNOTSUPP)  # no such qdisc, or a kernel without tc


def body(index: int, handle: int, parent: int, info: int, kind: str, options: bytes = b"") -> bytes:
    """A message's body: struct tcmsg, what kind of thing it is about, and its options if there are any."""
    head = TCMSG.pack(0, index, handle, parent, info) + rtnetlink.attribute(TCA_KIND, kind.encode() + b"\0")
    return head + (rtnetlink.attribute(TCA_OPTIONS, options) if options else b"")


def add_clsact(requests: Requests, index: int) -> bool:
    """Have a place for filters at an interface's ingress and egress; whether there was none. Raises HostError."""
    flags = rtnetlink.NLM_F_CREATE | NLM_F_EXCL
    try:
        requests.send_raw(f"add clsact to interface {index}", _RTM_NEWQDISC, flags, _clsact(index))
    except HostError as error:
        if error.errno != errno.EEXIST:
            raise
        return False
    return True


def delete_clsact(requests: Requests, index: int) -> None:
    """Remove it, with all filters in it. Raises HostError."""
    requests.send_raw(f"remove clsact from interface {index}", _RTM_DELQDISC, 0, _clsact(index))


def filters(requests: Requests, index: int, parent: int) -> list[rtnetlink.Message]:
    """What the kernel says of the filters there: each priority by itself (handle 0), and each filter. Raises HostError.

    None where nothing is that could have filters.
    """
    asked = TCMSG.pack(0, index, 0, parent, 0)
    try:
        operation = f"look at the tc filters of interface {index}"
        return requests.send_raw(operation, _RTM_GETTFILTER, rtnetlink.NLM_F_DUMP, asked)
    except HostError as error:
        if error.errno in _NO_FILTERS:
            return []
        raise


def _clsact(index: int) -> bytes:
    return body(index, _CLSACT_HANDLE, _CLSACT_PARENT, 0, "clsact")
