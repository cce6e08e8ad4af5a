"""Which datapath moves a bridge's packets, and why not a better one."""

from __future__ import annotations

from inband.datapath.userspace import UserspaceDatapath
from inband.errors import UsageError
from inband.runtime.config import DatapathKind


def make_datapath(kind: DatapathKind) -> tuple[UserspaceDatapath, str | None]:
    """The datapath, and a remark for people when ``auto`` did not take the fastest one. Raises UsageError."""
    if kind is DatapathKind.EBPF:
        raise UsageError("this version has no eBPF datapath: use --datapath userspace, or auto")
    note = "datapath auto: userspace, for this version has no eBPF datapath" if kind is DatapathKind.AUTO else None
    return UserspaceDatapath(), note
