"""Has the kernel's verifier read the eBPF program while this process reads its own modules.

A start takes the longer of both, not their sum. Only what that needs is imported here.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from inband.datapath.ebpf.spare import Spare
from inband.switch.config import BridgeConfig, DatapathKind, SwitchConfig


def pin_dir(run_dir: Path, bridge: str) -> Path:
    """Where a bridge's program and known flows outlive the process."""
    return run_dir / "bpf" / bridge


def program_pins(run_dir: Path, bridges: Iterable[BridgeConfig]) -> list[Path]:
    """Where those of these bridges whose datapath is eBPF, or may be, keep their pins."""
    return [pin_dir(run_dir, each.name) for each in bridges if each.datapath is not DatapathKind.USERSPACE]


def load_ahead(config: SwitchConfig) -> Spare:
    """Begin to load the program for the first bridge, with what a process that died left of it.

    Without a bridge in the configuration, one that was left comes, or any other some time. An error is met again, and
    told, by the bridge that needs the program.
    """
    left = [] if config.bridges else sorted((config.run_dir / "bpf").glob("*"))
    spare = Spare()
    spare.expect(program_pins(config.run_dir, config.bridges) if config.bridges else left or [None])
    return spare
