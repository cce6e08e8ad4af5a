"""Some bits for each hash of a rule, so that most masks without a rule for a packet cost no search.

A packet asks one mask of a table after the other, and most have nothing for it. To search the map of 100,000 rules for
what is not there costs two reads from memory that no cache of the processor holds; these words are in one. Each rule
sets two bits of a word (a Bloom filter with blocks). Both may be other rules': then the map is searched.

Invariant: what is not ``unwritten`` is in the kernel, whose rules are valid only when all is. No I/O.
"""

from __future__ import annotations

import mmap

from inband.datapath.ebpf.layout import RULE_FILTER_WORDS

_WORD_BITS = 64
# More rules than that at one bit are not counted: it stays set.
_MANY = 0xFF


class RuleFilter:
    """The bits of one kernel, and how many rules each has."""

    def __init__(self) -> None:
        self.unwritten: dict[int, int] = {}
        """Words that are to be written, by number; whoever has done it clears this."""
        self._words: dict[int, int] = {}
        # Two megabytes, of which the system gives the pages that are written to.
        self._counts = mmap.mmap(-1, RULE_FILTER_WORDS * _WORD_BITS)

    def add(self, hashed: bytes) -> None:
        """There is a rule with this hash, as the kernel has it."""
        word, bits = _place(hashed)
        value = self._words.get(word, 0)
        for bit in bits:
            at = word * _WORD_BITS + bit
            if self._counts[at] != _MANY:
                self._counts[at] += 1
            value |= 1 << bit
        self._set(word, value)

    def remove(self, hashed: bytes) -> None:
        """There is one less."""
        word, bits = _place(hashed)
        value = self._words[word]
        for bit in bits:
            at = word * _WORD_BITS + bit
            if self._counts[at] == _MANY:
                continue
            self._counts[at] -= 1
            if not self._counts[at]:
                value &= ~(1 << bit)
        self._set(word, value)

    def _set(self, word: int, value: int) -> None:
        if self._words.get(word, 0) != value:
            self._words[word] = self.unwritten[word] = value


def _place(hashed: bytes) -> tuple[int, tuple[int, int]]:
    """``may_be_there`` in ``bpf/rules.h``: a word and bits of it, by the upper half of the hash, mixed best."""
    upper = int.from_bytes(hashed[4:], "little")
    return upper % RULE_FILTER_WORDS, (upper >> 20 & 63, upper >> 26)
