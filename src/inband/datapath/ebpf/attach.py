"""Puts the program at an interface's ingress: by a tcx link, or where the kernel has none (before 6.6) by clsact.

A tcx link is a descriptor: it can be pinned, its program exchanged, and it goes with its last holder. A clsact filter
stays until somebody removes it; it holds its program by itself. Ours has priority 1, before the filter by which
``host.ports`` keeps frames from the host's stack.
"""

from __future__ import annotations

import errno
import struct

from inband.datapath.ebpf import libbpf
from inband.errors import HostError
from inband.host import rtnetlink
from inband.host.requests import NLM_F_EXCL, Requests

_RTM_NEWQDISC, _RTM_NEWTFILTER, _RTM_DELTFILTER = 36, 44, 45
_TC = struct.Struct("=BxxxiIII")  # tcmsg: family, index, handle, parent, info
_TCA_KIND, _TCA_OPTIONS = 1, 2
_TCA_BPF_FD, _TCA_BPF_NAME, _TCA_BPF_FLAGS = 6, 7, 8
_BPF_FLAG_ACT_DIRECT = 1
_CLSACT_HANDLE, _CLSACT_PARENT, _INGRESS = 0xFFFF0000, 0xFFFFFFF1, 0xFFFFFFF2
_PRIORITY, _HANDLE, _ETH_P_ALL_BE = 1, 1, 0x0300

# What a kernel without tcx says to a link of that type.
_NO_TCX = (errno.EINVAL, errno.EOPNOTSUPP)


def attach(program: int, index: int) -> int | None:
    """A link's descriptor, or None if a clsact filter holds the program. Raises HostError."""
    try:
        return libbpf.link_tcx(program, index)
    except HostError as error:
        if error.errno not in _NO_TCX:
            raise
    attach_filter(program, index)
    return None


def attach_filter(program: int, index: int) -> None:
    """Put the program into a clsact filter, in place of an older one. Raises HostError."""
    with Requests() as requests:
        clsact = _TC.pack(0, index, _CLSACT_HANDLE, _CLSACT_PARENT, 0) + rtnetlink.attribute(_TCA_KIND, b"clsact\0")
        flags = rtnetlink.NLM_F_CREATE | NLM_F_EXCL
        try:
            requests.send_raw(f"add clsact to interface {index}", _RTM_NEWQDISC, flags, clsact)
        except HostError as error:
            if error.errno != errno.EEXIST:
                raise
        options = rtnetlink.attribute(_TCA_BPF_FD, struct.pack("=I", program))
        options += rtnetlink.attribute(_TCA_BPF_NAME, b"inband\0")
        options += rtnetlink.attribute(_TCA_BPF_FLAGS, struct.pack("=I", _BPF_FLAG_ACT_DIRECT))
        body = _filter(index) + rtnetlink.attribute(_TCA_OPTIONS, options)
        flags = rtnetlink.NLM_F_CREATE | rtnetlink.NLM_F_REPLACE
        requests.send_raw(f"attach to interface {index}", _RTM_NEWTFILTER, flags, body)


def detach_filter(index: int) -> None:
    """Remove the filter; that there is none, or no interface any more, is no error. Raises HostError."""
    with Requests() as requests:
        try:
            requests.send_raw(f"detach from interface {index}", _RTM_DELTFILTER, 0, _filter(index))
        except HostError as error:
            if error.errno not in (errno.ENOENT, errno.EINVAL, errno.ENODEV):
                raise


def _filter(index: int) -> bytes:
    head = _TC.pack(0, index, _HANDLE, _INGRESS, _PRIORITY << 16 | _ETH_P_ALL_BE)
    return head + rtnetlink.attribute(_TCA_KIND, b"bpf\0")
