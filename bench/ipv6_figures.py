"""The figures of in-band control over IPv6: rows like those of ``bench.inband_figures``, with the same goals.

The peer has no in-band rules for IPv6 and so never connects; the rows say so in the same run.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

from bench.figures import (
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
from lab import measure, measure_six, six, topology
from lab.addressing import BOTH, IPV6
from lab.ovs import OvsSwitch
from lab.scene import Layer, scene
from lab.switch import SwitchMaker

FIRST_S = 0.2
"""The first connection once duplicate address detection is done."""
LAYERS: dict[str, Layer] = {
    "T1": lambda lab: topology.same_subnet(lab, IPV6),
    "T2": lambda lab: topology.behind_gateway(lab, IPV6),
    "T3 row of 4": lambda lab: topology.row(lab, 4, IPV6),
    "T3 row of 10": lambda lab: topology.row(lab, 10, IPV6),
    "T4": lambda lab: topology.between_switch_and_gateway(lab, IPV6),
    "T5": lambda lab: topology.guest_controller(lab, IPV6),
    "T6 router": lambda lab: topology.guest_over_router(lab, IPV6),
    "link-local controller, row of 2": lambda lab: six.link_local_remote(lab, 2),
}
ROWS = ("T3 row of 4", "T3 row of 10", "T4", "T5", "T6 router", "link-local controller, row of 2")


def rows(effort: Effort) -> list[Row]:
    """Return the table's rows, in its order."""
    return [
        *(_first(name, effort) for name in ("T1", "T2")),
        _after_detection("T2", effort),
        *(_row_up(name) for name in ROWS),
        Row("IPv6 T7: address by DHCPv6 and channel, after the switch is ready", "up", _leased),
        Row("IPv6: one controller in both families at once, row of 2", "up", _both),
        _hostile("T4", effort),
        *(_gateway(how, rules_s, silence_s) for how, rules_s, silence_s in GATEWAYS),
        Row("IPv6: route moves to another gateway", "rules 0.1 s", _route),
        Row("IPv6: a router says that it is to be preferred", "rules 0.3 s", _router("preferred")),
        Row("IPv6: the router says that it is none any more", "rules 0.3 s", _router("ended")),
        Row("IPv6: local MAC changes", "rules 0.1 s, (d), (e) never absent", _local_mac),
    ]


GATEWAYS = (("announced", 0.1, 1.0), ("silent", 3.0, 3.0), ("mute", 3.0, 3.0))


def _first(name: str, effort: Effort) -> Row:
    def take(make: SwitchMaker) -> Figure:
        return _times([measure_six.first_connection(make, LAYERS[name]) for _ in range(rounds_of(make, effort))])

    return Row(f"IPv6 {name} first connection, addresses usable, cold, median", f"{FIRST_S} s", take)


def _after_detection(name: str, effort: Effort) -> Row:
    def take(make: SwitchMaker) -> Figure:
        rounds = range(rounds_of(make, effort))
        return _times([measure_six.connection_after_detection(make, LAYERS[name]) for _ in rounds])

    return Row(f"IPv6 {name} told before its address is usable: from then on, median", f"{FIRST_S} s", take)


def _row_up(name: str) -> Row:
    def take(make: SwitchMaker) -> Figure:
        took = measure_six.first_connection(make, LAYERS[name], NEVER_S)
        return Figure(shown(took), took is not None and took <= 1.0, {"seconds": took})

    return Row(f"IPv6 {name}: every switch up, mute controller", "1 s after the last", take)


def _leased(make: SwitchMaker) -> Figure:
    if make is OvsSwitch:
        return Figure("never: no rules for IPv6", False)  # its client would have to be started by hand, for nothing
    with scene(make, six.address_by_dhcpv6) as stage:
        stage.connect()
        took = stage.up_after(NEVER_S)
    return Figure(shown(took), took is not None, {"seconds": took})


def _both(make: SwitchMaker) -> Figure:
    with scene(make, lambda lab: topology.row(lab, 2, BOTH)) as stage:
        stage.connect()
        is_up = measure_six.in_both_families(stage, NEVER_S)
    return Figure("up" if is_up else "never", is_up, {"up": is_up})


def _hostile(name: str, effort: Effort) -> Row:
    def take(make: SwitchMaker) -> Figure:
        silence = measure.hostile_silence(make, LAYERS[name], effort.hostile_s, "drop")
        return silence_figure(silence)

    return Row(f"IPv6 {name} under delete-all and drop-all, {effort.hostile_s:.0f} s", "no silence over 0.4 s", take)


def _gateway(how: str, rules_s: float, silence_s: float) -> Row:
    def take(make: SwitchMaker) -> Figure:
        return change_figure(measure.gateway_mac(make, how, 70.0, IPV6), rules_s, silence_s)

    what = {
        "announced": "gateway MAC changes, unsolicited advertisement",
        "silent": "gateway MAC changes silently",
        "mute": "the same, and it does not even ask for the switch",
    }
    return Row(f"IPv6: {what[how]}", f"rules {rules_s:g} s, silence {silence_s:g} s", take)


def _route(make: SwitchMaker) -> Figure:
    return change_figure(measure.route_moves(make, 15.0, IPV6), 0.1, 1.0)


def _router(how: str) -> Callable[[SwitchMaker], Figure]:
    def take(make: SwitchMaker) -> Figure:
        # The time includes that of starting the process that sends the advertisement.
        return change_figure(measure_six.router_changes(make, how, 15.0), 0.3, 1.0)

    return take


def _local_mac(make: SwitchMaker) -> Figure:
    change = measure.local_mac(make, on=IPV6)
    if change is None:
        return Figure("never up", False)
    text = f"rules {shown(change.rules_s)}, (d), (e) absent {shown(change.absent_s)}, silence {shown(change.silence_s)}"
    reached = change.rules_s is not None and change.rules_s <= 0.1 and change.absent_s == 0
    return Figure(text, reached, numbers_of(change))


def _times(times: list[float | None]) -> Figure:
    seen = [each for each in times if each is not None]
    if len(seen) < len(times):
        return Figure(f"{len(times) - len(seen)} of {len(times)} never", False, {"seconds": times})
    median, worst = statistics.median(seen), max(seen)
    text = f"{shown(median)}, worst {shown(worst)} of {len(seen)}"
    return Figure(text, median <= FIRST_S, {"median_s": median, "seconds": times})
