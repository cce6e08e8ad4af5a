"""Puts the program into a filter at an interface's ingress, and takes it away.

A filter stays until it is removed; it holds its program by itself. Ours has priority 1, before the one by which
``host.ports`` keeps frames from the host's stack.
"""

from __future__ import annotations

import errno

from inband.errors import HostError
from inband.host import codec, tc
from inband.host.ports import PROGRAM_NAME, PROGRAM_PRIORITY
from inband.host.requests import Requests

# What the kernel says to a filter where there is no clsact.
_NO_CLSACT = (errno.EINVAL, errno.ENOENT)


def attach_filter(program: int, index: int) -> None:
    """Put the program into a clsact filter, in place of an older one. Raises HostError."""
    attributes = (codec.number(tc.TCA_BPF_FD, program, 4), codec.text(tc.TCA_BPF_NAME, PROGRAM_NAME))
    body = tc.bpf_filter(index, PROGRAM_PRIORITY, *attributes)
    change = tc.RTM_NEWTFILTER, codec.NLM_F_CREATE | codec.NLM_F_REPLACE, body
    with Requests() as requests:
        try:
            requests.change(f"attach to interface {index}", *change)
        except HostError as error:
            if error.errno not in _NO_CLSACT or not tc.add_clsact(requests, index):
                raise
            requests.change(f"attach to interface {index}", *change)


def detach_filter(index: int) -> None:
    """Remove the filter; that there is none, or no interface any more, is no error. Raises HostError."""
    with Requests() as requests:
        try:
            body = tc.bpf_filter(index, PROGRAM_PRIORITY)
            requests.change(f"detach from interface {index}", tc.RTM_DELTFILTER, 0, body)
        except HostError as error:
            if error.errno not in (errno.ENOENT, errno.EINVAL, errno.ENODEV):
                raise
