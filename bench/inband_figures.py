"""The figures of in-band control: one function for each row of the table, the same for ours and for the peer.

Each measurement builds its networks anew, so every neighbour cache is cold, and the peer's turn comes right after
ours, so both meet the same machine.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import asdict

from bench.figures import (
    ECHO_SILENCE_S,
    NEVER_S,
    Effort,
    Figure,
    Row,
    change_figure,
    numbers_of,
    rounds_of,
    shown,
    silence_figure,
)
from lab import measure, name_servers, topology
from lab.ovs import OvsSwitch, OvsTso
from lab.switch import SwitchMaker

__all__ = ["Effort", "Figure", "Row", "rows"]


def rows(effort: Effort) -> list[Row]:
    """Return the table's rows, in its order."""
    return [
        *(_first(name, effort) for name in ("T1", "T2")),
        _by_name(effort),
        *(_row_up(name) for name in ROWS),
        *(_nearest_last(name) for name in ("T3 row of 4", "T4")),
        Row("T7 lease and channel, after the switch is ready", "up", _t7),
        *(_hostile(name, effort) for name in ROWS),
        Row("PORT_MOD no-receive, no-forward, down on every port and LOCAL", "0.4 s, pings stop", _port_mod(effort)),
        Row("full flow table, then a new controller", "its hidden flows, up", _full_table),
        Row("gateway MAC changes, gratuitous ARP", "rules 0.1 s, silence 1 s", _gateway("announced", 0.1, 1.0)),
        Row("gateway MAC changes silently", "rules and session 3 s", _gateway("silent", 3.0, 3.0)),
        Row("the same, and it does not even ask for the switch", "rules and session 3 s", _gateway("mute", 3.0, 3.0)),
        Row("route moves to another gateway", "rules 0.1 s", _route),
        Row("default route on another interface", "right MAC in (d), (e)", _default_route),
        Row("local MAC changes", "rules 0.1 s, (d), (e) never absent", _local_mac),
        Row("controller, managers, queue come and go, 1,000 probes/s", "none missing", _comings(effort)),
        Row("DHCP on LOCAL under drop / to-controller", "lease", _lease),
        Row("DHCP replies for another chaddr, 5 sent", "0 delivered to LOCAL", _chaddr),
        Row("kill -9 and restart: from the start to the channel", "1 s", _crash),
        Row(
            "1,000 managers: installed, idle CPU, memory, silence",
            "0.3 s, 1 %, 100 MB, 0.4 s",
            _managers(effort, 1000, 0.3, 100.0),
        ),
        Row(
            "10,000 managers: installed, idle CPU, memory, silence",
            "1.5 s, 1 %, 100 MB, 0.4 s",
            _managers(effort, 10_000, 1.5, 100.0),
        ),
        Row("iperf3 TCP through the userspace datapath", "that of userspace-tso", _iperf(effort)),
    ]


ROWS = ("T3 row of 2", "T3 row of 4", "T3 row of 10", "T4", "T5", "T6 segment", "T6 router")


def _first(name: str, effort: Effort) -> Row:
    def take(make: SwitchMaker) -> Figure:
        times = [measure.first_connection(make, topology.MANY[name]) for _ in range(rounds_of(make, effort))]
        seen = [each for each in times if each is not None]
        if len(seen) < len(times):
            return Figure(f"{len(times) - len(seen)} of {len(times)} never", False, {"seconds": times})
        median, worst = statistics.median(seen), max(seen)
        text = f"{shown(median)}, worst {shown(worst)} of {len(seen)}"
        return Figure(text, median <= 0.1 and worst <= 0.5, {"median_s": median, "seconds": times})

    return Row(f"{name} first connection, cold, median", "0.1 s, none over 0.5 s", take)


def _by_name(effort: Effort) -> Row:
    lay = name_servers.named(topology.same_subnet, name_servers.serve_here)

    def take(make: SwitchMaker) -> Figure:
        times = [measure.first_connection(make, lay, NEVER_S) for _ in range(rounds_of(make, effort))]
        seen = [each for each in times if each is not None]
        if len(seen) < len(times):
            return Figure(f"{len(times) - len(seen)} of {len(times)} never", False, {"seconds": times})
        median = statistics.median(seen)
        return Figure(
            f"{shown(median)}, worst {shown(max(seen))}", median <= 0.3, {"median_s": median, "seconds": times}
        )

    return Row("T1 first connection by name, DNS server reached in-band, median", "0.3 s", take)


def _row_up(name: str) -> Row:
    def take(make: SwitchMaker) -> Figure:
        took = measure.first_connection(make, topology.MANY[name], NEVER_S)
        return Figure(shown(took), took is not None and took <= 1.0, {"seconds": took})

    return Row(f"{name}: every switch up, mute controller", "1 s after the last", take)


def _nearest_last(name: str) -> Row:
    def take(make: SwitchMaker) -> Figure:
        took = measure.nearest_last(make, topology.MANY[name], 5.0, NEVER_S)
        return Figure(shown(took), took is not None and took <= 1.0, {"seconds": took})

    return Row(f"{name}: the nearest switch starts last, 5 s later", "1 s after the last", take)


def _t7(make: SwitchMaker) -> Figure:
    took = measure.lease_and_connection(make)
    return Figure(shown(took), took is not None, {"seconds": took})


def _hostile(name: str, effort: Effort) -> Row:
    def take(make: SwitchMaker) -> Figure:
        silence = measure.hostile_silence(make, topology.MANY[name], effort.hostile_s, "drop")
        return silence_figure(silence)

    return Row(f"{name} under delete-all and drop-all, {effort.hostile_s:.0f} s", "no silence over 0.4 s", take)


def _port_mod(effort: Effort) -> Callable[[SwitchMaker], Figure]:
    def take(make: SwitchMaker) -> Figure:
        found = measure.port_modification(make, effort.short_s)
        if found is None:
            return Figure("never up", False)
        silence, before, during = found
        text = f"silence {shown(silence)}, pings {before} then {during}"
        reached = silence <= ECHO_SILENCE_S and before > 0 and during == 0
        return Figure(text, reached, {"silence_s": silence, "pings_before": before, "pings_during": during})

    return take


def _full_table(make: SwitchMaker) -> Figure:
    found = measure.full_table(make)
    if found is None:
        return Figure("never up", False)
    letters, took = found
    text = f"flows {letters or 'missing'}, up {shown(took)}"
    return Figure(text, set("fghi") <= set(letters) and took is not None, {"letters": letters, "up_s": took})


def _gateway(how: str, rules_s: float, silence_s: float) -> Callable[[SwitchMaker], Figure]:
    def take(make: SwitchMaker) -> Figure:
        return change_figure(measure.gateway_mac(make, how, wait_s=70.0), rules_s, silence_s)

    return take


def _route(make: SwitchMaker) -> Figure:
    return change_figure(measure.route_moves(make, wait_s=15.0), 0.1, 1.0)


def _default_route(make: SwitchMaker) -> Figure:
    right = measure.default_route_elsewhere(make)
    text = {True: "right", False: "missing or wrong", None: "never up"}[right]
    return Figure(text, right is True, {"right": right})


def _local_mac(make: SwitchMaker) -> Figure:
    change = measure.local_mac(make)
    if change is None:
        return Figure("never up", False)
    text = f"rules {shown(change.rules_s)}, (d), (e) absent {shown(change.absent_s)}, silence {shown(change.silence_s)}"
    reached = change.rules_s is not None and change.rules_s <= 0.1 and change.absent_s == 0
    return Figure(text, reached, numbers_of(change))


def _comings(effort: Effort) -> Callable[[SwitchMaker], Figure]:
    def take(make: SwitchMaker) -> Figure:
        found = measure.comings_and_goings(make, effort.short_s)
        if found is None:
            return Figure("never up", False)
        lost, samples, missing = found
        text = f"{len(missing)} flows missing in {samples} samples, {lost} probes lost"
        return Figure(text, not missing and lost == 0, {"missing": len(missing), "samples": samples, "lost": lost})

    return take


def _lease(make: SwitchMaker) -> Figure:
    under = {policy: measure.lease(make, policy) for policy in ("drop", "controller")}
    text = ", ".join(f"{policy} {shown(took)}" for policy, took in under.items())
    return Figure(text, None not in under.values(), {f"{policy}_s": took for policy, took in under.items()})


def _chaddr(make: SwitchMaker) -> Figure:
    delivered = measure.other_chaddr(make)
    return Figure("never up" if delivered is None else str(delivered), delivered == 0, {"delivered": delivered})


def _crash(make: SwitchMaker) -> Figure:
    took = measure.crash(make)
    return Figure(shown(took), took is not None and took <= 1.0, {"seconds": took})


def _managers(effort: Effort, count: int, within_s: float, memory_mb: float) -> Callable[[SwitchMaker], Figure]:
    def take(make: SwitchMaker) -> Figure:
        found = measure.managers(make, count, effort.short_s)
        if found is None:
            return Figure("never up", False)
        took, share, silence = found.installed_s, found.cpu_share, found.silence_s
        text = f"{shown(took)}, {share:.1%}, {found.memory_mb:.0f} MB, silence {shown(silence)}"
        reached = took is not None and took <= within_s and share < 0.01 and silence <= ECHO_SILENCE_S
        return Figure(text, reached and found.memory_mb <= memory_mb, asdict(found))

    return take


def _iperf(effort: Effort) -> Callable[[SwitchMaker], Figure]:
    best_of_peer: list[float] = []

    def take(make: SwitchMaker) -> Figure:
        peer = make is OvsSwitch
        found = measure.throughput(OvsTso() if peer else make, min(effort.short_s, 3.0), 3)
        if found is None:
            return Figure("no pings", False)
        median = statistics.median(found)
        if peer:
            best_of_peer.append(median)
        return Figure(f"{median:.2f} Gbit/s", not best_of_peer or median >= best_of_peer[0], {"gbit_s": found})

    return take
