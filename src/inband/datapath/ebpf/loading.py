"""The object with the program brought into the kernel: with maps of its own, or onto those that a process left pinned.

To load takes a tenth of a second, for the kernel's verifier reads the program; it may be done in a thread. Nothing is
pinned, attached or removed here.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import NamedTuple

from inband.datapath.ebpf import libbpf
from inband.datapath.ebpf.layout import LAYOUT_VERSION
from inband.errors import HostError

PROGRAM = "fastpath"
PINNED_MAPS = (
    *("config", "masks", "megaflows", "stats", "control_ports"),
    *("meters", "meter_counts", "stations"),
    *("ports_near", "ports_in", "ports_out", "port_stats", "verdicts"),
)


class Loaded(NamedTuple):
    """The object, its program's descriptor, and the directory whose maps it uses; None: it has new ones."""

    object: libbpf.BpfObject
    program: int
    pins: Path | None


def version_dir(pin_dir: Path) -> Path:
    """Where pins of this layout are, in the directory of a bridge."""
    return pin_dir / f"v{LAYOUT_VERSION}"


def is_complete(pins: Path) -> bool:
    """Whether all maps are there; else none of them may be used."""
    return all((pins / name).exists() for name in PINNED_MAPS)


def load(pins: Path | None) -> Loaded:
    """Load the program, onto the maps in ``pins`` if all are there. Raises HostError."""
    made = libbpf.BpfObject()
    try:
        adopted = pins is not None and is_complete(pins) and _adopt(made, pins)
        return Loaded(made, made.load(PROGRAM), pins if adopted else None)
    except BaseException:
        made.close()
        raise


def _adopt(made: libbpf.BpfObject, pins: Path) -> bool:
    with contextlib.ExitStack() as opened:
        descriptors = {}
        try:
            for name in PINNED_MAPS:
                descriptors[name] = libbpf.open_pinned(pins / name)
                opened.callback(os.close, descriptors[name])
        except HostError:
            return False
        for name, descriptor in descriptors.items():
            made.reuse_map(name, descriptor)
    return True
