"""What is measured of each network in each round: see ``measure``. Names of figures tell their units.

Frames a second, streams and transactions are ``throughput``'s. New flows are ``kernel_traffic``'s. What takes a network
of its own (a flood, a crash) is in ``kernel_situations``.
"""

from __future__ import annotations

import json
import statistics
import sys
from typing import Any

from tests.system.lab.net import run

from bench import throughput
from bench.kernel_networks import Network, counters
from bench.throughput import RIGHT_IP, Hosts

Figures = dict[str, float]
TRAFFIC = (sys.executable, "-m", "bench.kernel_traffic")
FIRST_FRAMES = 500
MISSES = 10_000
# Under way at once: enough to keep a switch busy, far less than its queues hold.
WINDOW = 64
CONNECT_S = 1.0


def prepare(name: str, network: Network) -> None:
    """Addresses, servers, and pings until it forwards."""
    throughput.prepare(name, network.hosts)
    network.hosts.right.start(*TRAFFIC, "accept", RIGHT_IP, label="accept")


def measure(network: Network) -> Figures:
    """Everything that is measured of every network, one after the other."""
    hosts = network.hosts
    return {
        "tcp_gbit_s": throughput.tcp_gbit_s(hosts),
        "kpps": throughput.kilo_frames_s(hosts),
        "rr_per_s": throughput.transactions_s(hosts),
        **_connections(network),
        **_new_flows(network),
    }


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


def _new_flows(network: Network) -> Figures:
    """First frames, one at a time and then many."""
    one = take(network.hosts, FIRST_FRAMES, 1)
    figures = {"first_p50_us": statistics.median(one["ways_us"]), "first_p99_us": percentile(one["ways_us"], 99)}
    before = _losses(network)
    many = take(network.hosts, MISSES, WINDOW)
    rate = len(many["ways_us"]) / many["seconds"]
    return {**figures, "misses_per_s": rate, "misses_lost": many["lost"] + _losses(network) - before}


def take(hosts: Hosts, count: int, window: int) -> dict[str, Any]:
    """Frames of new flows: ``seconds``, ``ways_us``, ``lost``."""
    names = (hosts.left.name, hosts.right.name, hosts.right.mac("eth0"))
    return dict(json.loads(run(*TRAFFIC, "misses", *names, f"{count}", f"{window}")))


def percentile(values: list[float], percent: int) -> float:
    """The value that so many percent do not exceed."""
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


def _losses(network: Network) -> int:
    return sum(count for name, count in counters(network).items() if name.startswith("rx_queue_full"))
