"""The rule set against its obvious twin, a counter of reasons, with a table that refuses now and then."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from inband.control.rule_set import Difference, RuleSet
from inband.control.rules import InBandRule, for_address
from inband.vocabulary.addresses import parse_ip

RULES = for_address(parse_ip("192.0.2.1")) + for_address(parse_ip("2001:db8::1"))

some_rules = st.lists(st.sampled_from(RULES), max_size=4)
# Reasons added, reasons dropped (where there are any), on or off, and which rules the table refuses to touch this time.
steps = st.lists(st.tuples(some_rules, some_rules, st.booleans(), st.frozensets(st.sampled_from(RULES))), max_size=30)


class Twin:
    """A counter of reasons, and nothing clever."""

    def __init__(self) -> None:
        self.reasons: Counter[InBandRule] = Counter()
        self.enabled = False

    @property
    def wanted(self) -> set[InBandRule]:
        """The rules that should be installed."""
        return {rule for rule, count in self.reasons.items() if count} if self.enabled else set()

    def droppable(self, rules: Iterable[InBandRule]) -> list[InBandRule]:
        """Those of the rules that have a reason left to drop, one for each time."""
        left = self.reasons.copy()
        found = []
        for rule in rules:
            if left[rule]:
                left[rule] -= 1
                found.append(rule)
        return found


def carry_out(table: set[InBandRule], difference: Difference, refused: frozenset[InBandRule]) -> None:
    table.update(rule for rule in difference.installs if rule not in refused)
    table.difference_update(rule for rule in difference.removals if rule not in refused)


@given(steps)
def test_what_is_said_is_just_what_differs_between_the_table_and_what_is_wanted(
    steps: list[tuple[list[InBandRule], list[InBandRule], bool, frozenset[InBandRule]]],
) -> None:
    table: set[InBandRule] = set()
    twin, rule_set = Twin(), RuleSet(table)

    for added, dropped, enabled, refused in steps:
        rule_set.want(added)
        twin.reasons.update(added)
        dropped = twin.droppable(dropped)
        rule_set.unwant(dropped)
        twin.reasons.subtract(dropped)
        rule_set.enabled = twin.enabled = enabled

        difference = rule_set.settle()

        assert set(rule_set.wanted) == twin.wanted
        assert Counter(difference.installs) == Counter(twin.wanted - table)
        assert Counter(difference.removals) == Counter(table - twin.wanted)
        carry_out(table, difference, refused)

    carry_out(table, rule_set.settle(), frozenset())
    assert table == twin.wanted
    assert rule_set.settle() == Difference((), ())
