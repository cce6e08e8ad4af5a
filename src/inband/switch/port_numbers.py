"""Which number a port has. Flows name ports by number, so a number never moves because of an edit or a restart.

In this order: the number that the configuration pins (``"eth2=7"``), the one that the interface of this name had
before, else the lowest one that no interface has or had. So a new card does not get the flows of one that is away.

Pure: where what is remembered is kept is the owner's affair (``runtime.state_dir``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from inband.flow.ports import PortNo

# Interfaces of guests come and go under ever new names; the latest that went are remembered.
MAX_REMEMBERED = 1000


def assign(names: Iterable[str], pinned: Mapping[str, PortNo], known: Mapping[str, PortNo]) -> dict[str, PortNo]:
    """A number for each of these interfaces; ``known`` are those that interfaces have or had."""
    wanted = list(names)
    numbers = {name: pinned[name] for name in wanted if name in pinned}
    taken = {*pinned.values()}
    for name in wanted:
        if name not in numbers and name in known and known[name] not in taken:
            numbers[name] = known[name]
            taken.add(known[name])
    taken.update(known.values())
    free = (PortNo(number) for number in range(1, len(wanted) + len(taken) + 1) if number not in taken)
    return {name: numbers[name] if name in numbers else next(free) for name in wanted}


def remembered(before: Mapping[str, PortNo], present: Mapping[str, PortNo]) -> dict[str, PortNo]:
    """What to remember: every number of now, then those of before that went last, at most MAX_REMEMBERED of them."""
    taken = set(present.values())
    away = {name: number for name, number in before.items() if name not in present and number not in taken}
    room = max(0, MAX_REMEMBERED - len(present))
    kept = list(away.items())[len(away) - room if len(away) > room else 0 :]
    return {**dict(kept), **present}
