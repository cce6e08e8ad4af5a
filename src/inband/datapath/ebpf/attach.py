"""Puts the program at an interface's ingress: by a tcx link, or where the kernel has none (before 6.6) by clsact.

A tcx link is a descriptor: it can be pinned, its program exchanged, and it goes with its last holder. A clsact filter
stays until it is removed; it holds its program by itself. Ours has priority 1, before the filter by which
``host.ports`` keeps frames from the host's stack.
"""

from __future__ import annotations

import errno

from inband.datapath.ebpf import libbpf
from inband.errors import HostError
from inband.host import codec, tc
from inband.host.requests import Requests

_PRIORITY = 1

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
        attributes = (codec.number(tc.TCA_BPF_FD, program, 4), codec.text(tc.TCA_BPF_NAME, "inband"))
        flags = codec.NLM_F_CREATE | codec.NLM_F_REPLACE
        body = tc.bpf_filter(index, _PRIORITY, *attributes)
        requests.change(f"attach to interface {index}", tc.RTM_NEWTFILTER, flags, body)


def detach_filter(index: int) -> None:
    """Remove the filter; that there is none, or no interface any more, is no error. Raises HostError."""
    with Requests() as requests:
        try:
            body = tc.bpf_filter(index, _PRIORITY)
            requests.change(f"detach from interface {index}", tc.RTM_DELTFILTER, 0, body)
        except HostError as error:
            if error.errno not in (errno.ENOENT, errno.EINVAL, errno.ENODEV):
                raise
