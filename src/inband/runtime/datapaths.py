"""Which datapath moves a bridge's packets, and why not a better one."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import assert_never

from inband.datapath.ebpf.datapath import EbpfDatapath
from inband.datapath.ebpf.kernel import remove_pins
from inband.datapath.ebpf.spare import Spare
from inband.datapath.userspace import UserspaceDatapath
from inband.errors import HostError
from inband.runtime.kept_log import keep_log, remove_log
from inband.switch.config import DatapathKind


def remove_stale_pins(run_dir: Path, bridges: Iterable[str]) -> None:
    """Take away what a process that died left of bridges that are none of these: it would switch on for ever."""
    for left in (run_dir / "bpf").glob("*"):
        if left.name not in bridges:
            remove_pins(left)


def remove_pin_root(run_dir: Path) -> None:
    """Remove the directory of all pins once it is empty."""
    with suppress(OSError):
        (run_dir / "bpf").rmdir()


def make_datapath(
    kind: DatapathKind, pins: Path | None = None, spare: Spare | None = None, log: Path | None = None
) -> tuple[UserspaceDatapath | EbpfDatapath, str | None]:
    """The datapath, and a remark for people when ``auto`` did not take the fastest one, or not all of it could be had.

    ``pins``, a directory for this bridge alone, is where known flows of the eBPF datapath outlive the process; what
    a process that died left there is taken over, or removed where another datapath takes its place. ``spare`` may have
    a program that is loaded already. ``log`` is the file for what the verifier says where it refuses the program.
    Raises HostError when ``kind`` is EBPF and the kernel refuses.
    """
    refused = None
    if log is not None:
        remove_log(log)
    match kind:
        case DatapathKind.AUTO | DatapathKind.EBPF:
            try:
                datapath = EbpfDatapath(pin_dir=pins, spare=spare)
            except HostError as refusal:
                error = refusal if log is None else keep_log(refusal, log)
                if kind is DatapathKind.EBPF:
                    raise error from None
                refused = f"datapath auto: userspace, for eBPF is not available: {error}"
            else:
                return datapath, "; ".join(datapath.notes) or None
        case DatapathKind.USERSPACE:
            pass
        case _:
            assert_never(kind)
    if pins is not None:
        remove_pins(pins)
    return UserspaceDatapath(), refused
