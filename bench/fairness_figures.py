"""The figures of fairness: what others of a switch's peers suffer while one kind of them behaves badly.

Each row is one attack of ``lab.attack.kinds``; ``--only a-echo-16:`` takes one. A cell has the longest silence of a
quiet in-band session, whether that was lost, the peak of memory above what the switch had before the attack, how soon a
controller that is configured during the attack is connected, and (without a goal) how soon a client of the management
socket has its answer. The first row has no attack: what it shows is the
machine's, and that of controller and switch together with it.

With several rounds the cell has medians and the worst silence; a row reaches its goal when every round does.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import asdict

from bench.figures import Effort, Figure, Row, shown
from lab.attack import kinds
from lab.attack.kinds import Attack
from lab.fairness import Suffered, suffer
from lab.switch import SwitchMaker

SILENCE_S, ALL_SILENCE_S = 0.2, 0.4
"""What no session's silence may exceed, and while everything happens at once."""
MEMORY_MB, CONNECT_S = 150.0, 1.0
DELETE_ALL_S = 0.2
"""For 100,000 flows, until the BARRIER_REPLY."""
SAID = ("echo", "barrier", "unknown", "bad-flow-mod", "flow-stats")
FLOWS_TOLD = 5_000
"""How many flows each request for statistics is about."""


def rows(effort: Effort) -> list[Row]:
    """Return the table's rows, in its order."""
    floods = [
        kinds.flood(said, sessions, FLOWS_TOLD if said == "flow-stats" else 0)
        for said in SAID
        for sessions in (1, 16, 64)
    ]
    return [
        *(_row(attack, effort) for attack in (kinds.quiet(), *floods)),
        *(_row(kinds.flood(said, 16, 60_000), effort) for said in ("aggregate", "check-overlap")),
        _row(kinds.additions(1_000_000), effort),
        _row(kinds.changes(100_000), effort, delete_all_s=DELETE_ALL_S),
        _row(kinds.changes(1_000_000), effort),
        _row(kinds.non_readers(4, 60_000), effort),
        _row(kinds.knocking(1000), effort),
        _row(kinds.dribbling(500), effort),
        _row(kinds.reloading(10_000), effort),
        _row(kinds.storming(20_000, 1000), effort),
        _row(kinds.everything(), effort, ALL_SILENCE_S, seconds=effort.everything_s),
    ]


def _row(
    attack: Attack,
    effort: Effort,
    silence_s: float = SILENCE_S,
    *,
    seconds: float | None = None,
    delete_all_s: float | None = None,
) -> Row:
    goal = f"{silence_s:g} s, kept, {MEMORY_MB:.0f} MB, {CONNECT_S:g} s"
    if delete_all_s is not None:
        goal += f", delete-all {delete_all_s:g} s"

    def reaches(each: Suffered) -> bool:
        is_quick = each.connect_s is not None and each.connect_s <= CONNECT_S
        is_deleted = delete_all_s is None or each.figures["delete_all_s"] <= delete_all_s
        return each.silence_s <= silence_s and each.is_kept and each.memory_mb <= MEMORY_MB and is_quick and is_deleted

    take = _measuring(attack, effort.attack_rounds, seconds or effort.attack_s, reaches)
    return Row(f"{attack.name}: {attack.what}", goal, take)


def _measuring(
    attack: Attack, rounds: int, seconds: float, reaches: Callable[[Suffered], bool]
) -> Callable[[SwitchMaker], Figure]:
    def take(make: SwitchMaker) -> Figure:
        found = [each for _ in range(rounds) if (each := suffer(make, attack, seconds)) is not None]
        if len(found) < rounds:
            return Figure("never up", False)
        return Figure(_text(found), all(map(reaches, found)), {"rounds": [asdict(each) for each in found]})

    return take


def _text(found: list[Suffered]) -> str:
    silences = [each.silence_s for each in found]
    silence = shown(statistics.median(silences))
    if len(found) > 1:
        silence += f" (worst {shown(max(silences))})"
    kept = "kept" if all(each.is_kept for each in found) else "LOST"
    memory = statistics.median(each.memory_mb for each in found)
    connect, client = _typical([each.connect_s for each in found]), _typical([each.client_s for each in found])
    parts = [f"silence {silence}", kept, f"{memory:+.0f} MB", f"connects {connect}", f"client {client}"]
    for name, form in (("flow_mods_per_s", "{:,.0f} FLOW_MODs/s"), ("delete_all_s", "delete-all {:.2f} s")):
        if name in found[0].figures:
            parts.append(form.format(statistics.median(each.figures[name] for each in found)))
    return ", ".join(parts)


def _typical(times: list[float | None]) -> str:
    """The median, where never is longer than everything else."""
    median = sorted(times, key=lambda each: (each is None, each))[len(times) // 2]
    return shown(median)
