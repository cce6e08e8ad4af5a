"""What is to be reached by the path in the kernel, and whether it is.

A goal compares one network with another by the ratio of each round, or one figure with a bound. A goal whose figures
were not measured is not judged: it does not appear. Beside a ratio to Open vSwitch is that of the bare wire between
the hosts, which is about as much as any switch can have.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.kernel_networks import (
    BRIDGE,
    DIRECT,
    EBPF,
    FAILOVER,
    FLOWS,
    IN_BAND,
    METERED,
    NORMAL,
    POP_VLAN,
    SELECT,
    TABLES,
    THROUGH,
    label,
)
from lab.ovs import OvsTso

Samples = dict[str, dict[str, list[float]]]
"""Network or switch, figure, one value for each round."""

OURS, OURS_FLOWS, OURS_TABLES, OURS_IN_BAND, OURS_SELECT, OURS_THROUGH = (
    label(EBPF, flows) for flows in (NORMAL, FLOWS, TABLES, IN_BAND, SELECT, THROUGH)
)
PEER = label(OvsTso(), NORMAL)


@dataclass(frozen=True, slots=True)
class Goal:
    """One line of the table: what, how much is to be reached, how much is, and whether that is enough."""

    what: str
    to_reach: str
    is_at: str
    reached: bool


def judge(samples: Samples) -> list[Goal]:
    """Every goal that can be judged by these samples."""
    return [
        *_at_least(samples, "TCP, one stream", "tcp_gbit_s", OURS, BRIDGE, 1.0),
        *_at_least(samples, "TCP, one stream", "tcp_gbit_s", OURS, PEER, 2.0),
        *_at_least(samples, "64-byte frames a second, past the port (redirect_peer)", "kpps", OURS, BRIDGE, 1.25),
        *_at_least(samples, "64-byte frames a second, through the port", "kpps", OURS_THROUGH, BRIDGE, 1.05),
        *_at_least(samples, "64-byte frames a second", "kpps", OURS, PEER, 2.0),
        *_at_least(samples, "TCP request-response", "rr_per_s", OURS, BRIDGE, 0.95),
        *_at_least(samples, "TCP request-response", "rr_per_s", OURS, PEER, 7.0),
        *(
            goal
            for flows in (METERED, SELECT, FAILOVER, POP_VLAN)
            for figure, what in (("tcp_gbit_s", "TCP"), ("kpps", "64-byte frames"), ("rr_per_s", "request-response"))
            for goal in _at_least(samples, f"{flows}: {what}", figure, label(EBPF, flows), OURS, 0.95)
        ),
        *_about(samples, "metered at 10,000/s, 60,000 offered", "metered_per_s", EBPF.name, 10_000),
        *_about(samples, "metered at 2 Gbit/s: TCP", "metered_gbit_s", EBPF.name, 2.0),
        *_at_most_times(samples, "first frame of a new flow, p50", "first_p50_us", OURS, BRIDGE, 2.0),
        *_at_most(samples, "first frame of a new flow, p99", "first_p99_us", OURS, 100, "us"),
        *_at_most(samples, "misses per connection, 1,000 flows", "misses_per_connect", OURS_FLOWS, 0.01, ""),
        *_at_most_times(samples, "connect p50, 1,000 flows", "connect_p50_us", OURS_FLOWS, BRIDGE, 1.2),
        *_at_least(samples, "new flows a second", "misses_per_s", OURS, BRIDGE, 0.9),
        *_at_least(samples, "new flows a second, 1,000 flows of 10 masks", "misses_per_s", OURS_FLOWS, OURS, 0.8),
        *_at_least(samples, "new flows a second, four tables", "misses_per_s", OURS_TABLES, OURS, 0.7),
        *_at_least(samples, "new flows a second, a select group", "misses_per_s", OURS_SELECT, OURS, 0.7),
        *_at_most(samples, "frames of new flows lost below the pipeline", "misses_lost", OURS, 0, ""),
        *_at_most(samples, "flood of new flows: longest silence", "flood_silence_s", EBPF.name, 0.4, "s", max),
        *_at_most(samples, "flood of new flows: echo p99", "flood_echo_p99_ms", EBPF.name, 20, "ms"),
        *_at_least_bound(samples, "a host makes masks: others' frames that pass", "masks_kept", EBPF.name, 0.5),
        *_at_most(samples, "kill -9: datagrams of a known flow lost", "crash_lost", EBPF.name, 0, "", max),
        *_at_most(samples, "kill -9: channel back after the start", "crash_back_s", EBPF.name, 1.0, "s"),
        *_at_most(samples, "100,000 megaflows: idle CPU", "idle_cpu_percent", EBPF.name, 2.0, "%"),
        *(
            goal
            for what, figure in (("TCP", "tcp_gbit_s"), ("frames", "kpps"), ("request-response", "rr_per_s"))
            for goal in _at_least(samples, f"in-band with 100 remotes: {what}", figure, OURS_IN_BAND, OURS, 0.98)
        ),
    ]


def ratio(samples: Samples, figure: str, one: str, other: str) -> float | None:
    """The median of the rounds' ratios of two networks; None if either was not measured."""
    ones, others = (samples.get(name, {}).get(figure, []) for name in (one, other))
    pairs = [left / right for left, right in zip(ones, others, strict=False) if right]
    return statistics.median(pairs) if pairs else None


def _at_least(samples: Samples, what: str, figure: str, one: str, other: str, times: float) -> Iterator[Goal]:
    found = ratio(samples, figure, one, other)
    wire = ratio(samples, figure, DIRECT, other) if other == PEER else None
    if found is not None:
        limit = "" if wire is None else f" ({DIRECT}: {wire:.2f} x)"
        yield Goal(what, f"{times:g} x {other}", f"{found:.2f} x{limit}", found >= times)


def _at_most_times(samples: Samples, what: str, figure: str, one: str, other: str, times: float) -> Iterator[Goal]:
    found = ratio(samples, figure, one, other)
    if found is not None:
        yield Goal(what, f"at most {times:g} x {other}", f"{found:.2f} x", found <= times)


def _at_most(
    samples: Samples,
    what: str,
    figure: str,
    name: str,
    bound: float,
    unit: str,
    of: Callable[[list[float]], float] = statistics.median,
) -> Iterator[Goal]:
    values = samples.get(name, {}).get(figure, [])
    if values:
        yield Goal(what, f"at most {bound:g} {unit}".strip(), f"{of(values):.4g} {unit}".strip(), of(values) <= bound)


def _at_least_bound(samples: Samples, what: str, figure: str, name: str, bound: float) -> Iterator[Goal]:
    values = samples.get(name, {}).get(figure, [])
    if values:
        found = statistics.median(values)
        yield Goal(what, f"at least {bound:g}", f"{found:.2f}", found >= bound)


def _about(samples: Samples, what: str, figure: str, name: str, wanted: float) -> Iterator[Goal]:
    values = samples.get(name, {}).get(figure, [])
    if values:
        found = statistics.median(values)
        yield Goal(what, f"{wanted:,g} within 2 %", f"{found:,g}", abs(found - wanted) <= wanted / 50)
