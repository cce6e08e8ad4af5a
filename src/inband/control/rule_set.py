"""Which rules are wanted, kept up to date change by change, and what has to be done so that just these are installed.

Every rule has a count of the reasons for it: two remotes behind one gateway are two reasons for its (f) and (g).
Changes add and drop reasons; ``settle`` says what then differs. A rule whose reasons come and go in between is not
mentioned.

What is installed is not remembered here but looked up where it is known, at the owner of the table. So nothing can be
believed to be gone, or to be there, because it was said so: a rule for which ``settle`` asked is looked at again at the
next ``settle``, and asked for again if that failed.

Invariants, tested with random changes and tables that refuse:

- When the differences are carried out, what is installed is what is wanted.
- A rule that is wanted and installed, before and after, is never mentioned.

Work: ``want`` and ``unwant`` in proportion to the rules given, ``settle`` to what changed since the last but one.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import NamedTuple

from inband.control.rules import InBandRule


class Difference(NamedTuple):
    """Rules to install and rules to remove, in the order in which they came up."""

    installs: tuple[InBandRule, ...]
    removals: tuple[InBandRule, ...]


_NOTHING = Difference((), ())


class RuleSet:
    """The wanted rules of one bridge. ``installed`` is a live view of those that the table has."""

    def __init__(self, installed: Container[InBandRule]) -> None:
        self._installed = installed
        self._enabled = False
        self._vlan: int | None = None
        self._reasons: dict[InBandRule, int] = {}
        self._changed: dict[InBandRule, None] = {}

    @property
    def enabled(self) -> bool:
        """Whether any rule is wanted at all; reasons are counted in any case."""
        return self._enabled

    @enabled.setter
    def enabled(self, enabled: bool) -> None:
        if enabled != self._enabled:
            self._enabled = enabled
            self._changed.update(dict.fromkeys(self._reasons))

    @property
    def vlan(self) -> int | None:
        """The VLAN that all rules are for, None for untagged; another one makes other rules of all of them."""
        return self._vlan

    @vlan.setter
    def vlan(self, vlan: int | None) -> None:
        if vlan == self._vlan:
            return
        before, self._vlan = self._reasons, vlan
        self._reasons = {self._placed(rule.in_vlan(None)): count for rule, count in before.items()}
        self._changed.update(dict.fromkeys((*self._reasons, *before)))

    def _placed(self, rule: InBandRule) -> InBandRule:
        return rule if self._vlan is None else rule.in_vlan(self._vlan)

    @property
    def wanted(self) -> tuple[InBandRule, ...]:
        """The rules that are wanted."""
        return tuple(self._reasons) if self._enabled else ()

    def want(self, rules: Iterable[InBandRule]) -> None:
        """Add one reason for each of these rules."""
        for rule in map(self._placed, rules):
            self._reasons[rule] = self._reasons.get(rule, 0) + 1
            self._changed[rule] = None

    def unwant(self, rules: Iterable[InBandRule]) -> None:
        """Drop one reason for each of these rules. KeyError when there is none: who drops it must have added it."""
        for rule in map(self._placed, rules):
            left = self._reasons[rule] - 1
            if left:
                self._reasons[rule] = left
            else:
                del self._reasons[rule]
            self._changed[rule] = None

    def settle(self) -> Difference:
        """What is to be done, in this order: make before break."""
        if not self._changed:
            return _NOTHING
        installs: list[InBandRule] = []
        removals: list[InBandRule] = []
        right: list[InBandRule] = []
        for rule in self._changed:
            is_wanted = self._enabled and rule in self._reasons
            if (rule in self._installed) == is_wanted:
                right.append(rule)
            else:
                (installs if is_wanted else removals).append(rule)
        if len(right) == len(self._changed):
            self._changed.clear()  # as nearly always, when nothing failed
        else:
            for rule in right:
                del self._changed[rule]
        return Difference(tuple(installs), tuple(removals))
