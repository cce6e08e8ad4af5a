"""Mirrors as values: who gets a copy of what (ovs-vswitchd.conf.db(5), Mirror). ``mirroring`` makes the copies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from inband.flow.ports import PortNo
from inband.table.groups import Counter
from inband.vocabulary.mirroring import MirrorConfig


@dataclass(frozen=True, slots=True)
class Mirror:
    """One mirror, by numbers of ports; None: all. ``counter`` counts its copies, and goes on when it is changed."""

    name: str
    output: PortNo
    sources: frozenset[PortNo] | None = frozenset()
    destinations: frozenset[PortNo] | None = frozenset()
    vlans: frozenset[int] = frozenset()
    counter: Counter = field(default_factory=Counter, compare=False)

    def copies_from(self, port: PortNo) -> bool:
        """Whether what comes in there is copied."""
        return port != self.output and (self.sources is None or port in self.sources)

    def copies_to(self, port: PortNo) -> bool:
        """Whether what leaves there is copied."""
        return port != self.output and (self.destinations is None or port in self.destinations)


def mirrors_of(
    configs: Iterable[MirrorConfig], numbers: Mapping[str, PortNo], before: Iterable[Mirror]
) -> tuple[Mirror, ...]:
    """Mirrors by numbers of ports, with the counters that those of the same names had.

    A port without a number is left out; so is a mirror to one.
    """
    counters = {mirror.name: mirror.counter for mirror in before}
    made = (
        Mirror(each.name, numbers[each.output], _numbers(each.sources, numbers), _numbers(each.destinations, numbers),
               each.vlans)
        for each in configs
        if each.output in numbers
    )  # fmt: skip
    return tuple(replace(each, counter=counters.get(each.name, each.counter)) for each in made)


def _numbers(names: frozenset[str] | None, numbers: Mapping[str, PortNo]) -> frozenset[PortNo] | None:
    return None if names is None else frozenset(numbers[name] for name in names if name in numbers)
