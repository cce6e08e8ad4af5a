"""The figures of what operators need besides the channel: the management plane, places of next hops, VLANs, storms.

The same for ours and for the peer, where the peer can take part: it has no manager that calls, so it is told the
manager as it knows managers, and no VLAN for control. Each measurement builds its networks anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from bench.figures import ECHO_SILENCE_S, NEVER_S, Effort, Figure, Row, shown, silence_figure
from lab import management, measure, topology, vlan
from lab.addressing import IPV4, IPV6, Addressing
from lab.inband import OnDatapath
from lab.ovs import OvsSwitch
from lab.switch import SwitchMaker

SAME_S = 0.1
"""How much two times to come up differ that are the same: an interpreter's pauses, and a question asked again."""
CALLS, QUICK_CALLS = 1000, 100
GATEWAY_S = 60.0
STORM = 100_000
"""Questions a second; as many as the machine sends, if that is less."""


def rows(effort: Effort) -> list[Row]:
    """Return the table's rows, in its order."""
    count = CALLS if effort.rounds > 2 else QUICK_CALLS
    seconds = GATEWAY_S if effort.rounds > 2 else effort.hostile_s
    return [
        _ssh("into the switch", 0, count),
        _ssh("into the third switch of a row", 2, count),
        Row(
            f"VRRP gateway, its ARP entry flushed every 5 s, {seconds:.0f} s: silence, frames a host saw",
            "no silence over 0.4 s, none",
            _virtual_gateway(seconds),
        ),
        Row("router on a stick: ARP of the gateway's MAC in VLAN 100", "untagged to the access port, once", _stick),
        *(_up_in_vlan(name) for name in topology.MANY),
        Row(
            f"control-vlan = 10, row of 4 under delete-all and drop-all, {effort.hostile_s:.0f} s",
            "no silence over 0.4 s",
            lambda make: _ours_only(make) or silence_figure(_hostile_in_vlan(make, effort)),
        ),
        *(
            _storm(name, on, effort, for_itself=for_itself)
            for for_itself in (False, True)
            for name, on in (("ARP", IPV4), ("ND", IPV6))
        ),
    ]


def _ssh(what: str, place: int, count: int) -> Row:
    def take(make: SwitchMaker) -> Figure:
        words = "tcp:{}:22" if make is OvsSwitch else "from:tcp:{}:22"
        calls = count if make is not OvsSwitch else min(count, 20)  # each that fails takes its time
        found = management.ssh_calls(make, words.format, calls, place, length=place + 1)
        if found is None:
            return Figure("never up", False)
        outcome, silence = found
        text = f"{outcome.failed} of {calls} failed, longest {shown(outcome.longest_s)}"
        numbers: dict[str, object] = {
            "failed": outcome.failed,
            "calls": calls,
            "longest_s": outcome.longest_s,
            "silence_s": silence,
        }
        return Figure(text, outcome.failed == 0, numbers)

    return Row(f"ssh from a manager {what}, {count} connections under delete-all and drop-all", "0 failures", take)


def _virtual_gateway(seconds: float) -> Callable[[SwitchMaker], Figure]:
    def take(make: SwitchMaker) -> Figure:
        found = management.virtual_gateway(make, seconds)
        if found is None:
            return Figure("never up", False)
        silence, seen = found
        reached = silence <= ECHO_SILENCE_S and seen == 0
        return Figure(f"{shown(silence)}, {seen} seen", reached, {"silence_s": silence, "seen": seen})

    return take


def _stick(make: SwitchMaker) -> Figure:
    came = management.arp_in_another_vlan(make)
    return Figure("never up" if came is None else f"{came} came", came == 1, {"came": came})


def _ours_only(make: SwitchMaker) -> Figure | None:
    return Figure("has none", False) if make is OvsSwitch else None


def _up_in_vlan(name: str) -> Row:
    """Every switch of a topology up, tagged and untagged."""
    connect = measure.lease_and_connection if name == "T7" else measure.first_connection

    def take(make: SwitchMaker) -> Figure:
        absent = _ours_only(make)
        if absent:
            return absent
        lay = topology.MANY[name]
        plain, tagged = (connect(make, each, NEVER_S) for each in (lay, vlan.tagged(lay)))
        reached = plain is not None and tagged is not None and tagged <= plain + SAME_S
        return Figure(f"{shown(tagged)}, untagged {shown(plain)}", reached, {"tagged_s": tagged, "untagged_s": plain})

    return Row(f"control-vlan = {vlan.VLAN}, {name}: every switch up", "as fast as untagged", take)


def _hostile_in_vlan(make: SwitchMaker, effort: Effort) -> float | None:
    return measure.hostile_silence(make, vlan.tagged(topology.MANY["T3 row of 4"]), effort.hostile_s, "drop")


def _storm(name: str, on: Addressing, effort: Effort, *, for_itself: bool) -> Row:
    def take(make: SwitchMaker) -> Figure:
        measured = partial(management.storm, rate=STORM, seconds=effort.hostile_s, on=on, for_itself=for_itself)
        if make is OvsSwitch:
            return silence_figure(measured(make))
        found = {datapath: measured(OnDatapath(datapath)) for datapath in ("userspace", "ebpf")}
        silences = [each for each in found.values() if each is not None]
        figure = silence_figure(max(silences) if len(silences) == len(found) else None)
        return replace(figure, numbers=dict(found))

    target = "the last switch itself" if for_itself else "the controller"
    what = f"{name} storm for {target} at the end of a row of 4, {STORM:,} a second from changing senders"
    return Row(f"{what}, {effort.hostile_s:.0f} s, both datapaths", "no silence over 0.4 s on any switch", take)
