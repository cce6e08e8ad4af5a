"""What 100,000 megaflows cost: `python -m bench.kernel_megaflows IF IF`, in the namespace of the interfaces.

The bridge of the switch with its eBPF datapath and one NORMAL flow, without the event loop around it, so that pauses
can be told one by one; its clock is put forward. Each pair of hosts is a megaflow. Prints, as JSON:

- ``idle_cpu_percent``: what counting and ageing take while no packet comes;
- ``memory_mb``, ``kernel_mb``: what the process grew by, and the kernel's maps, which mostly are made in full at start;
- ``revalidated_ms``: from a FLOW_MOD that makes every megaflow wrong until none decides any more;
- ``forgotten_ms``: the longest pause while unused megaflows are forgotten.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from itertools import permutations
from pathlib import Path

from inband.agent.connection import Kind
from inband.agent.switch import Identity
from inband.bridge.bridge import Bridge, BridgeSettings
from inband.bridge.megaflows import MAX_IDLE_S
from inband.datapath.ebpf.datapath import EbpfDatapath
from inband.flow.actions import ApplyActions, Output
from inband.flow.match import ANY, Match
from inband.flow.ports import NORMAL, PortNo
from inband.flow.priority import OpenFlowPriority
from inband.openflow.messages import Envelope, FlowMod
from inband.packet.frame import Frame
from inband.packet.parse import parse
from inband.vocabulary.addresses import Mac
from inband.vocabulary.openflow import OFP13, FlowModCommand
from lab.silent_host import SilentHost

# 317 hosts make 100,172 pairs; the cache holds no more than 100,000.
HOSTS, MEGAFLOWS = 317, 100_000
_IDLE_S, _FORGETTING_S = 5, 10
_MB = 1e6


class FastClock:
    """The clock of the machine, plus what it was put forward, so that nothing has to wait."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        """The time."""
        return time.monotonic() + self._ahead

    def put_forward_to(self, instant: float) -> None:
        """Not back."""
        self._ahead += max(0.0, instant - self())


def main(interfaces: list[str]) -> None:
    """Take the figures and print them."""
    clock = FastClock()
    datapath = EbpfDatapath(clock=clock)
    bridge = _bridge(datapath, clock, interfaces)
    try:
        gc.collect()
        before = _resident_bytes()
        _fill(bridge)
        gc.collect()
        figures = {"memory_mb": (_resident_bytes() - before) / _MB, "kernel_mb": _map_bytes() / _MB}
        figures["idle_cpu_percent"] = _run(bridge, clock, _IDLE_S)[0] / _IDLE_S * 100
        held = len(bridge.megaflows)
        figures["revalidated_ms"] = _seconds(lambda: _add(bridge, Match.of(in_port=1))) * 1e3
        _fill(bridge)
        clock.put_forward_to(clock() + MAX_IDLE_S)
        figures["forgotten_ms"] = _run(bridge, clock, _FORGETTING_S)[1] * 1e3
        print(json.dumps(figures | {"megaflows": held}))
    finally:
        datapath.close()


def _bridge(datapath: EbpfDatapath, clock: FastClock, interfaces: list[str]) -> Bridge:
    bridge = Bridge(BridgeSettings("br0", Identity(1)), datapath, SilentHost(), clock, lambda: None)
    datapath.client = bridge
    for number, name in enumerate(interfaces, start=1):
        datapath.add_port(PortNo(number), name)
        bridge.add_port(PortNo(number), name, Mac(0x020000000000 | number))
    bridge.connect(1, Kind.MANAGEMENT, OFP13)
    _add(bridge, ANY)
    return bridge


def _add(bridge: Bridge, match: Match) -> None:
    actions = (ApplyActions((Output(NORMAL),)),)
    priority = OpenFlowPriority(100 if match.mask else 0)
    bridge.receive(1, [Envelope(OFP13, 1, FlowMod(FlowModCommand.ADD, match, priority, actions))])
    while bridge.is_busy:
        bridge.work(bridge.now)
    bridge.take(1)


def _fill(bridge: Bridge) -> None:
    """Each host sends to each other one, all having been heard of before."""
    for number in range(HOSTS):
        _upcall(bridge, number, (number + 1) % HOSTS)
    for source, destination in permutations(range(HOSTS), 2):
        if len(bridge.megaflows) >= MEGAFLOWS:
            return
        _upcall(bridge, source, destination)


def _upcall(bridge: Bridge, source: int, destination: int) -> None:
    macs = b"".join((0x025A00000000 | number).to_bytes(6, "big") for number in (destination, source))
    frame = Frame(macs + b"\x88\xb5" + bytes(46))
    in_port = PortNo(1 + source % 2)
    bridge.upcall(in_port, frame, parse(frame.data, in_port))


def _run(bridge: Bridge, clock: FastClock, seconds: int) -> tuple[float, float]:
    """Let so much time pass: CPU seconds in all, and of the longest turn."""
    turns = []
    end = clock() + seconds
    while (due := bridge.next_deadline()) is not None and due < end:
        clock.put_forward_to(due)
        turns.append(_seconds(bridge.run))
    clock.put_forward_to(end)
    return sum(turns), max(turns, default=0.0)


def _seconds(act: Callable[[], object]) -> float:
    start = time.process_time()
    act()
    return time.process_time() - start


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _map_bytes() -> int:
    """What the kernel holds for the maps of this process, of which each mapped part has a descriptor of its own."""
    sizes = {}
    for info in Path("/proc/self/fdinfo").iterdir():
        lines = info.read_text().splitlines() if info.exists() else []
        said = dict(line.split(":", 1) for line in lines if ":" in line)
        if "map_id" in said:
            sizes[said["map_id"]] = int(said["memlock"])
    return sum(sizes.values())


if __name__ == "__main__":
    main(sys.argv[1:])
