"""The bits that say where there may be a rule: set for each that is there, whatever came and went."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from inband.datapath.ebpf.layout import RULE_FILTER_WORDS
from inband.datapath.ebpf.rule_filter import RuleFilter

# Few words and few bits of them, so that many hashes meet.
hashes = st.builds(
    lambda low, word, one, other: (other << 58 | one << 52 | word << 32 | low).to_bytes(8, "little"),
    *(st.integers(0, 3), st.integers(0, 1), st.integers(0, 2), st.integers(0, 2)),
)


class Memory(dict[int, int]):
    """The words in the kernel."""

    def follow(self, filter_: RuleFilter) -> None:
        self.update(filter_.unwritten)
        filter_.unwritten.clear()

    def may_have(self, hashed: bytes) -> bool:
        """As the program looks."""
        value = int.from_bytes(hashed, "little")
        word = self.get((value >> 32) % RULE_FILTER_WORDS, 0)
        return bool(word >> (value >> 52 & 63) & word >> (value >> 58) & 1)


@settings(max_examples=100, deadline=None)
@given(st.lists(hashes, max_size=30), st.data())
def test_all_that_are_there_show_and_when_all_have_gone_nothing_does(added: list[bytes], data: st.DataObject) -> None:
    memory, filter_, there = Memory(), RuleFilter(), list(added)
    for each in added:
        filter_.add(each)
        memory.follow(filter_)

    for each in data.draw(st.permutations(added)):
        assert all(memory.may_have(other) for other in there)
        filter_.remove(each)
        there.remove(each)
        memory.follow(filter_)

    assert not any(memory.values())


def test_one_bit_more_does_not_hide_that_the_other_is_missing() -> None:
    memory, filter_ = Memory(), RuleFilter()
    there, absent = ((other << 58 | 5 << 52).to_bytes(8, "little") for other in (7, 8))

    filter_.add(there)
    memory.follow(filter_)

    assert memory.may_have(there)
    assert not memory.may_have(absent)


def test_more_than_can_be_counted_stay_set() -> None:
    memory, filter_ = Memory(), RuleFilter()
    hashed = bytes(8)
    for _ in range(300):
        filter_.add(hashed)

    for _ in range(299):
        filter_.remove(hashed)
    memory.follow(filter_)

    assert memory.may_have(hashed)
