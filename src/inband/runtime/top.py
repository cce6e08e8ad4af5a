"""The document of ``inband top`` and of the metrics: what there is, and how much went where, as totals."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TypedDict

from inband.bridge.bridge import Bridge
from inband.pipeline.ports import SwitchPort
from inband.runtime.appctl.documents import lookups, visible_flows
from inband.runtime.bridge_runner import BridgeRunner
from inband.runtime.name_documents import wall
from inband.runtime.stepping import next_turn
from inband.vocabulary.openflow import PortState

# About a millisecond of work.
PORTS_AT_ONCE = 50

COUNTED = ("rx_packets", "rx_bytes", "tx_packets", "tx_bytes", "rx_dropped", "tx_dropped", "rx_errors", "tx_errors")
"""OpenFlow's port counters (1.3.5, 7.3.5.6), in packets and bytes."""


class PortTotals(TypedDict):
    """A port. ``counters`` has COUNTED."""

    name: str
    number: int
    link_up: bool
    counters: dict[str, int]


class ChannelState(TypedDict):
    """A controller. ``since``: connected or lost then, in seconds since 1970."""

    target: str
    connected: bool
    role: str | None
    since: float | None


class BridgeTotals(TypedDict):
    """A bridge. ``hits``, ``upcalls``, ``lost``: packets that the datapath knew, that came up, that did not get up."""

    name: str
    datapath: str
    forwarding: str
    ports: list[PortTotals]
    channels: list[ChannelState]
    flows: int
    hidden_flows: int
    megaflows: int
    addresses: int
    hits: int
    upcalls: int
    lost: int
    counters: dict[str, int]


class TopDocument(TypedDict):
    """The whole. ``time``: seconds since 1970; ``cpu_s`` and ``memory_bytes`` are the process's."""

    time: float
    cpu_s: float
    memory_bytes: int
    bridges: list[BridgeTotals]


async def totals(runners: Iterable[BridgeRunner]) -> TopDocument:
    """The document, made in parts of a millisecond: packets and channels have their turn between."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "time": round(time.time(), 3),
        "cpu_s": round(used.ru_utime + used.ru_stime, 3),
        "memory_bytes": _memory(),
        "bridges": [await _bridge(runner) for runner in list(runners)],
    }


def _memory() -> int:
    """What the process has in memory (proc(5): the second field of statm, in pages)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def _bridge(runner: BridgeRunner) -> BridgeTotals:
    bridge, status = runner.bridge, runner.managed.status()
    ports = []
    for index, port in enumerate(status.ports):
        if index % PORTS_AT_ONCE == 0:
            await next_turn()
        ports.append(_port(bridge, port))
    hits, misses, lost = lookups(bridge)
    return {
        "name": status.name,
        "datapath": status.datapath,
        "forwarding": status.forwarding.value,
        "ports": ports,
        "channels": [
            {
                "target": str(each.target),
                "connected": each.is_connected,
                "role": None if each.role is None else each.role.name.lower(),
                "since": wall(each.since, runner.now),
            }
            for each in status.outgoing
        ],
        "flows": visible_flows(bridge),
        "hidden_flows": status.in_band.hidden_flows,
        "megaflows": len(bridge.megaflows),
        "addresses": len(bridge.fdb),
        "hits": hits,
        "upcalls": misses,
        "lost": lost,
        "counters": dict(status.counters),
    }


def _port(bridge: Bridge, port: SwitchPort) -> PortTotals:
    counted = bridge.datapath.port_counters(port.number)
    return {
        "name": port.name,
        "number": int(port.number),
        "link_up": not port.state & PortState.LINK_DOWN,
        "counters": {name: getattr(counted, name) for name in COUNTED},
    }
