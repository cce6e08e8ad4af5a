"""The figures of a switch that is configured by ovs-vsctl: how soon it obeys, and what many ports and bridges cost.

Both switches follow a database of their own in the same laboratory, and are told the same words. The peer's datapath is
that in user space, for its kernel module is not everywhere; ours is what `system` gives here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

from bench.figures import Effort, Figure, Row, shown
from lab.net import Lab
from lab.ovs import OvsSwitch
from lab.ovsdb_follower import Follower
from lab.switch import SwitchMaker, cpu_s, memory_mb

PORTS, QUICK_PORTS = 1000, 100
BRIDGES = 50
IDLE_S, QUICK_IDLE_S = 30.0, 6.0


def rows(effort: Effort) -> list[Row]:
    """Return the table's rows, in its order."""
    is_whole = effort.rounds > 2
    ports = PORTS if is_whole else QUICK_PORTS
    idle_s = IDLE_S if is_whole else QUICK_IDLE_S
    return [
        Row("ovs-vsctl add-br with two ports: to the first packet between them", "1 s", _first_packet(effort)),
        Row(
            f"{ports} ports in one transaction: ovs-vsctl returns, longest answer of the process meanwhile",
            "60 s, 0.2 s",
            _many_ports(ports),
        ),
        Row(
            f"the same: memory, and processor over {idle_s:.0f} idle seconds",
            "200 MB, 5 %",
            _cost(lambda each: _with_ports(each, ports), idle_s),
        ),
        Row(f"{BRIDGES} bridges in one transaction: the same two figures", "60 s, 0.2 s", _many_bridges),
        Row("the same: memory, and processor", "400 MB, 5 %", _cost(lambda each: _with_bridges(each), idle_s)),
    ]


def _follower(lab: Lab, make: SwitchMaker) -> Follower:
    return Follower(lab, is_peer=make is OvsSwitch)


def _first_packet(effort: Effort) -> Callable[[SwitchMaker], Figure]:
    def take(make: SwitchMaker) -> Figure:
        found = []
        for _ in range(effort.rounds):
            with Lab("ovx") as lab:
                found.append(_follower(lab, make).until_first_packet())
        middle = median(found)
        text = f"{shown(middle)}, at most {shown(max(found))}"
        return Figure(text, max(found) <= 1.0, {"median_s": middle, "all_s": sorted(found)})

    return take


def _many_ports(count: int) -> Callable[[SwitchMaker], Figure]:
    def take(make: SwitchMaker) -> Figure:
        with Lab("ovx") as lab:
            follower = _follower(lab, make)
            return _waited(follower, _with_ports(follower, count))

    return take


def _many_bridges(make: SwitchMaker) -> Figure:
    with Lab("ovx") as lab:
        follower = _follower(lab, make)
        return _waited(follower, _with_bridges(follower))


def _waited(follower: Follower, words: list[str]) -> Figure:
    found = follower.change(words)
    numbers: dict[str, object] = {"returned_s": found.returned_s, "longest_s": found.longest_s}
    reached = found.returned_s <= 60.0 and found.longest_s <= 0.2
    return Figure(f"{shown(found.returned_s)}, {shown(found.longest_s)}", reached, numbers)


def _with_ports(follower: Follower, count: int) -> list[str]:
    """Make so many interfaces, and words that make them ports of one bridge."""
    names = [f"e{number}" for number in range(count)]
    follower.box.ip(*(f"link add {name} type veth peer name f{name}" for name in names))
    follower.box.ip(*(f"link set {end} up" for name in names for end in (name, f"f{name}")))
    return follower.add_bridge("br0", *names)


def _with_bridges(follower: Follower) -> list[str]:
    return [word for number in range(BRIDGES) for word in follower.add_bridge(f"br{number}")]


def _cost(words: Callable[[Follower], list[str]], idle_s: float) -> Callable[[SwitchMaker], Figure]:
    def take(make: SwitchMaker) -> Figure:
        with Lab("ovx") as lab:
            follower = _follower(lab, make)
            follower.change(words(follower))
            time.sleep(3.0)  # the kernel's last words
            before, start = cpu_s([follower.pid]), time.monotonic()
            time.sleep(idle_s)
            share = (cpu_s([follower.pid]) - before) / (time.monotonic() - start)
            memory = memory_mb([follower.pid])
        numbers: dict[str, object] = {"memory_mb": memory, "processor": share}
        return Figure(f"{memory:.0f} MB, {share:.1%}", memory <= 400.0 and share <= 0.05, numbers)

    return take
