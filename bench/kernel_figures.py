"""What is measured of each network in each round: see ``ALL``. Names of figures tell their units.

Streams and transactions are ``throughput``'s, the rest of the traffic is ``kernel_traffic``'s. What takes a network
of its own (a flood, a crash) is in ``kernel_situations``.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable
from typing import Any

from bench import throughput
from bench.kernel_networks import Network, counters
from bench.throughput import RIGHT_IP, Hosts
from lab.net import run

Figures = dict[str, float]
TRAFFIC = (sys.executable, "-m", "bench.kernel_traffic")
FIRST_FRAMES = 500
MISSES = 10_000
# Under way at once: enough to keep a switch busy, far less than its queues hold.
WINDOW = 64
CONNECT_S = 1.0
FRAMES_S = 2.0


def prepare(name: str, network: Network) -> None:
    """Addresses, servers, and pings until it forwards."""
    throughput.prepare(name, network.hosts)
    network.hosts.right.start(*TRAFFIC, "accept", RIGHT_IP, label="accept")


def _throughput(network: Network) -> Figures:
    return {"tcp_gbit_s": throughput.tcp_gbit_s(network.hosts)} if network.vlan is None else {}


def _frames(network: Network) -> Figures:
    """Thousands of small frames of one flow that arrive in a second."""
    hosts = network.hosts
    before = hosts.right.counter("eth0", "rx_packets")
    tag = () if network.vlan is None else (f"{network.vlan}",)
    hosts.left.run(*TRAFFIC, "frames", "eth0", hosts.right.mac("eth0"), RIGHT_IP, f"{FRAMES_S}", *tag)
    return {"kpps": (hosts.right.counter("eth0", "rx_packets") - before) / FRAMES_S / 1e3}


def _transactions(network: Network) -> Figures:
    return {"rr_per_s": throughput.transactions_s(network.hosts)} if network.vlan is None else {}


def _connections(network: Network) -> Figures:
    """Connections a second, the time each takes, and how many misses each costs (ours only)."""
    hosts = network.hosts
    before = counters(network)
    found = json.loads(hosts.left.run(*TRAFFIC, "connect", RIGHT_IP, f"{CONNECT_S}"))
    after = counters(network)
    ways = found["ways_us"]
    figures = {"connects_per_s": len(ways) / found["seconds"], "connect_p50_us": statistics.median(ways)}
    if "miss" in after:
        figures["misses_per_connect"] = (after["miss"] - before.get("miss", 0)) / len(ways)
    return figures


def _first_frames(network: Network) -> Figures:
    """The first frame of each of many flows, one at a time."""
    ways = take(network.hosts, FIRST_FRAMES, 1)["ways_us"]
    return {"first_p50_us": statistics.median(ways), "first_p99_us": percentile(ways, 99)}


def _new_flows(network: Network) -> Figures:
    """As many new flows as get through, and frames that never reached what decides."""
    found = take(network.hosts, MISSES, WINDOW)
    return {"misses_per_s": len(found["ways_us"]) / found["seconds"], "misses_lost": found["lost"]}


def take(hosts: Hosts, count: int, window: int) -> dict[str, Any]:
    """Frames of new flows: ``seconds``, ``ways_us``, ``lost``."""
    names = (hosts.left.name, hosts.right.name, hosts.right.mac("eth0"))
    return dict(json.loads(run(*TRAFFIC, "misses", *names, f"{count}", f"{window}")))


def percentile(values: list[float], percent: int) -> float:
    """The value that so many percent do not exceed."""
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


ALL: tuple[Callable[[Network], Figures], ...] = (
    *(_throughput, _frames, _transactions, _connections, _first_frames, _new_flows),
)
"""What is measured of every network, in this order."""

OF_ACTIONS = (_throughput, _frames, _transactions)
"""What is measured of those that are there for what actions cost."""
