"""The bits that say where there may be a rule: set for each that is there, whatever came and went."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inband.datapath.ebpf.layout import RULE_FILTER_WORDS
from inband.datapath.ebpf.rule_filter import RuleFilter

# Few words and few bits of them, so that many hashes meet.
hashes = st.builds(
    lambda low, word, one, other: (other << 58 | one << 52 | word << 32 | low).to_bytes(8, "little"),
    *(st.integers(0, 3), st.integers(0, 1), st.integers(0, 2), st.integers(0, 2)),
)


@pytest.fixture
def memory() -> Iterator[int]:
    descriptor = os.memfd_create("rule_filter")
    os.truncate(descriptor, RULE_FILTER_WORDS * 8)
    yield descriptor
    os.close(descriptor)


def may_be_there(memory: int, hashed: bytes) -> bool:
    """As the program looks."""
    value = int.from_bytes(hashed, "little")
    word = int.from_bytes(os.pread(memory, 8, (value >> 32) % RULE_FILTER_WORDS * 8), "little")
    return bool(word >> (value >> 52 & 63) & word >> (value >> 58) & 1)


@settings(max_examples=50, deadline=None)
@given(st.lists(hashes, max_size=30), st.data())
def test_all_that_are_there_show_and_when_all_have_gone_nothing_does(added: list[bytes], data: st.DataObject) -> None:
    memory = os.memfd_create("rule_filter")
    os.truncate(memory, RULE_FILTER_WORDS * 8)
    filter_ = RuleFilter(memory)
    there = list(added)
    for each in added:
        filter_.add(each)

    for each in data.draw(st.permutations(added)):
        assert all(may_be_there(memory, other) for other in there)
        filter_.remove(each)
        there.remove(each)

    assert os.pread(memory, RULE_FILTER_WORDS * 8, 0).count(0) == RULE_FILTER_WORDS * 8
    filter_.close()
    os.close(memory)


def test_one_bit_more_does_not_hide_that_the_other_is_missing(memory: int) -> None:
    filter_ = RuleFilter(memory)
    there, absent = ((other << 58 | 5 << 52).to_bytes(8, "little") for other in (7, 8))

    filter_.add(there)

    assert may_be_there(memory, there)
    assert not may_be_there(memory, absent)
    filter_.close()


def test_more_than_can_be_counted_stay_set(memory: int) -> None:
    filter_ = RuleFilter(memory)
    hashed = bytes(8)
    for _ in range(300):
        filter_.add(hashed)

    for _ in range(299):
        filter_.remove(hashed)

    assert may_be_there(memory, hashed)
    filter_.close()
