"""The figures of OpenFlow: how fast flows are taken, found and told of, and how fast uncached packets are decided.

Rows are taken as those of in-band control are (``figures``): a function for each, the same for ours and for the
peer, and the peer's turn right after ours. Both are reached by their management sockets and forward between two ports.
Rows about the inside of ours leave the peer's cell empty; they take CPU time of this process, or the
times of the kernel's test-run facility (``kernel_lookups``).
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import codec, openflow_load
from bench.figures import Effort, Figure, Row
from bench.openflow_client import Client, additions
from inband.datapath.simulated import SimulatedDatapath
from inband.flow.fields import FlowKey
from inband.packet.frame import Frame
from lab.inband import InbandSwitch
from lab.net import Lab, Namespace
from lab.ovs import OvsSwitch
from lab.switch import SwitchMaker
from lab.topology import BridgePlan, Site

FLOW_MODS, ROUNDS = 20_000, 5
SMALL, LARGE = 1_000, 100_000
LOOKUPS = 5_000
MISSES = 20_000
KERNEL_LOOKUPS_S = 120.0
# Under way at once: enough to keep a switch busy, and far below what its queues hold.
WINDOW = 64


def rows(effort: Effort) -> list[Row]:
    """Return the table's rows, in its order."""
    rounds = ROUNDS if effort.rounds >= ROUNDS else effort.rounds
    return [
        _codec_row("FLOW_MOD", 20),
        _codec_row("PACKET_IN", 5),
        Row(f"{FLOW_MODS:,} FLOW_MODs and a barrier, median of {rounds}", "20,000/s", _flow_mods(rounds)),
        Row(f"dump of {LARGE:,} flows", "", _dump),
        _in_process(f"lookup, {LARGE:,} flows against {SMALL:,}, 20 masks", "factor of 2", lambda: _lookups(rounds)),
        _in_process("the same, through the whole pipeline", "factor of 2", lambda: _translations(rounds)),
        *(
            _in_process(f"the same in the kernel, {what}", "factor of 1.3", partial(_kernel_lookups, tables, rounds))
            for what, tables in (("one table", 1), ("64 tables", 64))
        ),
        _in_process("misses, bridge without a kernel", "20,000/s", lambda: _bridge_misses(rounds)),
        Row("misses, one frame each, userspace datapath", "20,000/s", _misses(WINDOW, "userspace", rounds)),
        Row("misses, one frame each, eBPF datapath", "20,000/s", _misses(WINDOW, "ebpf", rounds)),
        Row("the first frame's way, one at a time, userspace datapath", "150 us", _misses(1, "userspace", rounds)),
        Row("the first frame's way, one at a time, eBPF datapath", "150 us", _misses(1, "ebpf", rounds)),
    ]


# Whole switches -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Stand:
    """A switch with two ports, to both of which ``hosts`` holds the other end."""

    hosts: Namespace
    management: Path


@contextmanager
def _running_switch(make: SwitchMaker, datapath: str = "userspace") -> Iterator[_Stand]:
    with Lab("ihq") as lab:
        hosts, switch = lab.namespace("hosts"), lab.namespace("switch")
        for number in (1, 2):
            hosts_end = f"h{number}"
            lab.link(hosts, hosts_end, switch, f"p{number}")
            hosts.run("sysctl", "-qw", f"net.ipv6.conf.{hosts_end}.disable_ipv6=1")
            hosts.ip(f"link set dev {hosts_end} up")
        made = make(lab, Site(switch, (BridgePlan("br0", ("p1", "p2")),)))
        if isinstance(made, InbandSwitch):
            made.datapath = datapath
        made.start(connect=False)
        assert isinstance(made, InbandSwitch | OvsSwitch)
        yield _Stand(hosts, made.management("br0"))


def _flow_mods(rounds: int) -> Callable[[SwitchMaker], Figure]:
    messages = additions(openflow_load.additions(FLOW_MODS))

    def take(make: SwitchMaker) -> Figure:
        seconds = []
        with _running_switch(make) as running, Client(running.management) as client:
            for _ in range(rounds):
                client.clear()
                seconds.append(client.carry_out(messages))
        rate = FLOW_MODS / statistics.median(seconds)
        return Figure(f"{rate:,.0f}/s", rate >= 20_000, {"per_s": rate, "seconds": seconds})

    return take


def _dump(make: SwitchMaker) -> Figure:
    with _running_switch(make) as running, Client(running.management) as client:
        client.clear()
        client.carry_out(additions(openflow_load.additions(LARGE)))
        seconds, size = client.dump()
    return Figure(f"{seconds:.2f} s, {size / 1e6:.1f} MB", True, {"seconds": seconds, "bytes": size})


def _misses(window: int, datapath: str, rounds: int) -> Callable[[SwitchMaker], Figure]:
    """Medians of rounds, each with a switch of its own; Open vSwitch's datapath is its own."""
    count = MISSES if window > 1 else MISSES // 10
    messages = additions(openflow_load.additions(MISSES))

    def once(make: SwitchMaker) -> tuple[float, float]:
        with _running_switch(make, datapath) as running:
            with Client(running.management) as client:
                client.carry_out(messages)
            command = (sys.executable, "-m", "bench.openflow_misses", "h1", "h2", str(count), str(window))
            rate, way = map(float, running.hosts.run(*command, timeout_s=60.0).split())
        return rate, way

    def take(make: SwitchMaker) -> Figure:
        taken = [once(make) for _ in range(rounds)]
        rate, way = (statistics.median(column) for column in zip(*taken, strict=True))
        numbers: dict[str, object] = {"per_s": rate, "median_us": way, "rounds": taken}
        if window > 1:
            return Figure(f"{rate:,.0f}/s", rate >= 20_000, numbers)
        return Figure(f"{way:.0f} us", way <= 150, numbers)

    return take


# Inside ours --------------------------------------------------------------------------------------------------------


def _in_process(what: str, goal: str, take: Callable[[], Figure]) -> Row:
    return Row(what, goal, lambda make: take() if make is InbandSwitch else Figure("", True))


def _codec_row(what: str, goal_us: int) -> Row:
    """The slowest of the codec's figures whose text starts like this."""

    def take() -> Figure:
        slowest = max(row.microseconds for row in codec.run() if row.what.startswith(what) and row.goal is not None)
        return Figure(f"{slowest:.1f} us", slowest <= goal_us, {"us": slowest})

    return _in_process(f"{what}: 1.0 or 1.3, whichever is slower", f"{goal_us} us", take)


def _lookups(rounds: int) -> Figure:
    def prepare(count: int) -> tuple[Callable[[FlowKey], object], list[FlowKey]]:
        flows, keys = openflow_load.flows(count)
        return openflow_load.table_set(flows)[0].lookup, keys

    return _compare(prepare(SMALL), prepare(LARGE), rounds)


def _translations(rounds: int) -> Figure:
    frame = Frame(openflow_load.frame(0))

    def prepare(count: int) -> tuple[Callable[[FlowKey], object], list[FlowKey]]:
        flows, keys = openflow_load.flows(count)
        pipeline = openflow_load.pipeline(flows)
        return lambda key: pipeline.translate(key, frame, 0.0), keys

    return _compare(prepare(SMALL), prepare(LARGE), rounds)


def _kernel_lookups(tables: int, rounds: int) -> Figure:
    """Medians of rounds, each with flows of its own in the kernel."""
    with Lab("ihq") as lab:
        hosts, switch = lab.namespace("hosts"), lab.namespace("switch")
        ports = [f"p{number}" for number in range(1, 5)]
        for port in ports:
            lab.link(hosts, f"h{port}", switch, port)
        command = (sys.executable, "-m", "bench.kernel_lookups", str(tables), *ports)
        found = [json.loads(switch.run(*command, timeout_s=KERNEL_LOOKUPS_S)) for _ in range(rounds)]
    few, many = (statistics.median(each[name] for each in found) for name in ("small_ns", "large_ns"))
    numbers: dict[str, object] = {"small_ns": few, "large_ns": many, "ratio": many / few, "rounds": found}
    return Figure(f"{many / few:.2f} ({few / 1e3:.1f}, {many / 1e3:.1f} us)", many / few <= 1.3, numbers)


_Subject = tuple[Callable[[FlowKey], object], list[FlowKey]]


def _compare(small: _Subject, large: _Subject, rounds: int) -> Figure:
    """Both in turn, so that both meet the same machine; the same number of packets, in any order."""
    dice = random.Random(2)
    costs: list[tuple[float, float]] = []
    for _ in range(rounds):
        few, many = (_cost(call, dice.choices(keys, k=LOOKUPS)) for call, keys in (small, large))
        costs.append((few, many))
    few, many = (statistics.median(column) for column in zip(*costs, strict=True))
    numbers: dict[str, object] = {"small_us": few, "large_us": many, "ratio": many / few}
    return Figure(f"{many / few:.2f} ({few:.1f}, {many:.1f} us)", many / few <= 2, numbers)


def _cost(call: Callable[[FlowKey], object], keys: Sequence[FlowKey]) -> float:
    """Microseconds of CPU time per call, with keys as fresh as a parser leaves them."""
    fresh = [FlowKey(key + 0) for key in keys]
    start = time.process_time()
    for key in fresh:
        call(key)
    return (time.process_time() - start) / len(keys) * 1e6


def _bridge_misses(rounds: int) -> Figure:
    frames = [Frame(openflow_load.frame(number)) for number in range(MISSES)]
    rates = [MISSES / _deliver(openflow_load.bridge(openflow_load.additions(MISSES)), frames) for _ in range(rounds)]
    rate = statistics.median(rates)
    return Figure(f"{rate:,.0f}/s", rate >= 20_000, {"per_s": rate})


def _deliver(datapath: SimulatedDatapath, frames: Sequence[Frame]) -> float:
    """Seconds of CPU time for frames that are all misses."""
    start = time.process_time()
    for frame in frames:
        datapath.deliver(openflow_load.IN_PORT, frame)
    seconds = time.process_time() - start
    misses = datapath.counters()["miss"]
    assert misses == len(frames), f"{misses} of {len(frames)} frames were misses"
    return seconds
