"""Some bits for each hash of a rule, so that most masks without a rule for a packet cost no search.

A packet asks one mask of a table after the other, and most have nothing for it. To search the map of 100,000 rules for
what is not there costs two reads from memory that no cache of the processor holds; these words are in one. Each rule
sets two bits of a word (a Bloom filter with blocks). Both may be other rules': then the map is searched.

Invariant: while the rules are valid, the bits of each rule in the kernel are set. They change as the maps do, while the
rules are suspended.
"""

from __future__ import annotations

import mmap

from inband.datapath.ebpf.layout import RULE_FILTER_WORDS

_WORD_BITS = 64
# More rules than that at one bit are not counted: it stays set.
_MANY = 0xFF


class RuleFilter:
    """The bits of one kernel, and how many rules each has here."""

    def __init__(self, descriptor: int) -> None:
        """``descriptor``: of the map, which is empty; mapped with the first rule, for that makes it our memory."""
        self._descriptor = descriptor
        self._mapped: mmap.mmap | None = None
        self._words = memoryview(b"").cast("Q")
        self._counts = bytearray(RULE_FILTER_WORDS * _WORD_BITS)

    def add(self, hashed: bytes) -> None:
        """There is a rule with this hash, as the kernel has it."""
        if self._mapped is None:
            self._mapped = mmap.mmap(self._descriptor, RULE_FILTER_WORDS * _WORD_BITS // 8)
            self._words = memoryview(self._mapped).cast("Q")
        word, bits = _place(hashed)
        for bit in bits:
            at = word * _WORD_BITS + bit
            if self._counts[at] != _MANY:
                self._counts[at] += 1
            self._words[word] |= 1 << bit

    def remove(self, hashed: bytes) -> None:
        """There is one less."""
        word, bits = _place(hashed)
        for bit in bits:
            at = word * _WORD_BITS + bit
            if self._counts[at] == _MANY:
                continue
            self._counts[at] -= 1
            if not self._counts[at]:
                self._words[word] &= ~(1 << bit)

    def close(self) -> None:
        """Give back memory."""
        self._words.release()
        if self._mapped is not None:
            self._mapped.close()


def _place(hashed: bytes) -> tuple[int, tuple[int, int]]:
    """``may_be_there`` in ``bpf/rules.h``: a word and bits of it, by the upper half of the hash, mixed best."""
    upper = int.from_bytes(hashed[4:], "little")
    return upper % RULE_FILTER_WORDS, (upper >> 20 & 63, upper >> 26)
