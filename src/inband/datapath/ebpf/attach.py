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
from inband.host import rtnetlink, tc
from inband.host.requests import Requests

_TCA_BPF_FD, _TCA_BPF_NAME, _TCA_BPF_FLAGS = 6, 7, 8
_PRIORITY, _HANDLE = 1, 1

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
        tc.add_clsact(requests, index)
        options = rtnetlink.attribute(_TCA_BPF_FD, struct.pack("=I", program))
        options += rtnetlink.attribute(_TCA_BPF_NAME, b"inband\0")
        options += rtnetlink.attribute(_TCA_BPF_FLAGS, struct.pack("=I", tc.BPF_FLAG_ACT_DIRECT))
        flags = rtnetlink.NLM_F_CREATE | rtnetlink.NLM_F_REPLACE
        requests.send_raw(f"attach to interface {index}", tc.RTM_NEWTFILTER, flags, _filter(index, options))


def detach_filter(index: int) -> None:
    """Remove the filter; that there is none, or no interface any more, is no error. Raises HostError."""
    with Requests() as requests:
        try:
            requests.send_raw(f"detach from interface {index}", tc.RTM_DELTFILTER, 0, _filter(index))
        except HostError as error:
            if error.errno not in (errno.ENOENT, errno.EINVAL, errno.ENODEV):
                raise


def _filter(index: int, options: bytes = b"") -> bytes:
    return tc.body(index, _HANDLE, tc.INGRESS, _PRIORITY << 16 | tc.ETH_P_ALL_BE, "bpf", options)
