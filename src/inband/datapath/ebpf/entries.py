"""The megaflows in the kernel: what was installed, under which key, and what it has counted.

Each entry has a slot in an array of counters that this process reads through shared memory, so bringing counters up to
date asks the kernel nothing: the array is compared with its last copy, block by block, and only slots in blocks that
changed are looked at (``count``, in parts). Slots are given out again in the order they came back, so a packet that is
still under way for an old entry does not count for a new one.

Forgetting everything is one store (the epoch). The entries that it made stale keep their slots until their last counts
are read, and their places in the map until they are deleted there: both a few at a time, or when the room is needed.

The kernel's map has an entry under the hash of its key. Should two keys have one hash, the later takes the place of the
earlier, whose packets come up from then on, and a counter tells (``not_in_kernel_same_hash``). It takes the kernel's
secret to make such keys.

New entries are written by ``commit``, many in one call: a burst of new flows brings hundreds.

Invariants: an entry that the kernel holds under the present epoch is known here; when ``remove`` or ``flush`` return,
their megaflows decide nothing any more. They have their final counts after ``remove`` at once, after ``flush`` when a
round of ``count`` is over that began later.
"""

from __future__ import annotations

import errno
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from inband.datapath.base import Counters, Megaflow
from inband.datapath.ebpf import libbpf
from inband.datapath.ebpf.kernel import Kernel
from inband.datapath.ebpf.keys import HASH_SIZE, KeyCompiler, hash_of, with_mask_id, words_of
from inband.datapath.ebpf.layout import ENTRY_HEAD, ENTRY_SIZE, MASK, MAX_MASKS, MAX_MEGAFLOWS, OP, STATS
from inband.datapath.ebpf.masks import NO_MASK, MaskTable
from inband.errors import HostError

# Slots that rest before they are used again; a packet on another CPU is done within microseconds.
_RESTING = 1024
# Counters compared at a time, if those of as many blocks are not all as before.
_BLOCK = 128
_BLOCK_BYTES = _BLOCK * STATS.size
_BLOCKS_AT_ONCE = 64
# A part of a round is over after so many entries that have counted, blocks in which some have, or spans that are as
# they were: half a millisecond to one.
_COUNTED_PER_PART = 256
_BLOCKS_PER_PART = 8
_SPANS_PER_PART = 8
# Stale entries deleted at a time: about 0.3 ms.
_SWEEP = 512
_NANOSECONDS = 1e-9


@dataclass(slots=True, eq=False)
class _Entry:
    """What the kernel holds for a megaflow, under ``hash``; ``packets`` and ``bytes`` are what its slot showed last."""

    megaflow: Megaflow
    hash: bytes
    mask: int
    slot: int
    packets: int
    bytes: int


@dataclass(slots=True)
class _Known:
    """Entries of one epoch, each by what it is looked for by."""

    by_megaflow: dict[Megaflow, _Entry] = field(default_factory=dict)
    by_hash: dict[bytes, _Entry] = field(default_factory=dict)
    by_slot: dict[int, _Entry] = field(default_factory=dict)

    def forget(self, entry: _Entry) -> None:
        """It is not one of these any more."""
        del self.by_slot[entry.slot]
        self.by_hash.pop(entry.hash, None)
        self.by_megaflow.pop(entry.megaflow, None)


class Entries:
    """The megaflows of one kernel."""

    def __init__(self, kernel: Kernel, counters: Counters) -> None:
        self._kernel = kernel
        self._counters = counters
        self._map = kernel.map("megaflows")
        self._keys = KeyCompiler()
        self._masks = MaskTable(self._write_mask, kernel.set_mask_count)
        self._known = _Known()
        self._mask_uses: Counter[int] = Counter()
        self._flushed: deque[_Known] = deque()
        self._adopted: dict[bytes, tuple[int, int]] = {}
        self._stale: dict[bytes, None] = {}
        self._free: deque[int] = deque()
        self._unused_from = 1
        self._seen: dict[int, bytes] = {}
        self._counted: set[Megaflow] = set()
        self._unwritten: dict[bytes, bytes] = {}
        self._start()

    @property
    def adopted_count(self) -> int:
        """Entries of an earlier process that are still in use."""
        return len(self._adopted)

    # Changes

    def install(self, megaflow: Megaflow, ops: bytes, packet: int) -> None:
        """Have ``commit`` put a megaflow into the kernel, if it can be said there; ``packet``: one that it is for."""
        compiled = self._keys.compile(megaflow.match, packet)
        if compiled is None:
            self._counters.add("not_in_kernel_ambiguous")
            return
        mask = self._masks.take(compiled.mask)
        if mask is None:
            self._counters.add("not_in_kernel_masks_full")
            return
        key = with_mask_id(compiled.key, mask)
        hashed = hash_of(key, words_of(compiled.mask), self._kernel.secret)
        known = self._known
        slot = self._take_slot(is_new=hashed not in known.by_hash)
        if slot is None:
            self._masks.give_back(mask)
            self._counters.add("not_in_kernel_full")
            return
        if (old := known.by_hash.get(hashed)) is not None:
            if self._key_under(hashed) != key:
                self._counters.add("not_in_kernel_same_hash")
            self._forget(old, is_replaced=True)
        if (old := known.by_megaflow.get(megaflow)) is not None:  # narrowed by another packet it had another hash
            self._forget(old, is_replaced=False)
        packets, bytes_, _, _ = self._kernel.stats.read(slot)
        entry = _Entry(megaflow, hashed, mask, slot, packets, bytes_)
        known.by_megaflow[megaflow] = known.by_hash[hashed] = known.by_slot[slot] = entry
        self._mask_uses[mask] += 1
        head = ENTRY_HEAD.pack(self._kernel.epoch, slot, len(ops) // OP.size, 0, key)
        self._unwritten[hashed] = (head + ops).ljust(ENTRY_SIZE, b"\0")

    def commit(self) -> None:
        """Write what was installed: from now on the kernel decides by it."""
        if not self._unwritten:
            return
        unwritten, self._unwritten = self._unwritten, {}
        hashes = list(unwritten)
        written = libbpf.update_many(self._map, hashes, list(unwritten.values()))
        for hashed in hashes[:written]:
            self._stale.pop(hashed, None)
        for hashed in hashes[written:]:
            self._write_alone(hashed, unwritten[hashed])
        self.sweep(2 * len(hashes))  # stale ones are gone before new ones have filled the map

    def remove(self, megaflows: Iterable[Megaflow]) -> None:
        """Take megaflows out of the kernel; those that are not in it are left alone."""
        entries = [entry for megaflow in megaflows if (entry := self._known.by_megaflow.get(megaflow))]
        self.commit()
        libbpf.delete_many(self._map, [entry.hash for entry in entries])
        for entry in entries:
            self._forget(entry, is_replaced=True)

    def flush(self) -> None:
        """Make every entry of this process stale. Takes no longer for many."""
        self.commit()
        adopted = self._kernel.adopted_epoch
        self._kernel.set_epochs(self._kernel.epoch + 1, adopted)
        for mask, count in self._mask_uses.items():
            self._masks.give_back(mask, count)
        self._mask_uses.clear()
        self._flushed.append(self._known)
        self._known = _Known()

    def release_adopted(self) -> None:
        """Entries of an earlier process are not valid any more."""
        if not self._adopted:
            return
        self._kernel.set_epochs(self._kernel.epoch, 0)
        for hashed, (mask, slot) in self._adopted.items():
            self._free.append(slot)
            self._masks.give_back(mask)
            if hashed not in self._known.by_hash:
                self._stale[hashed] = None
        self._adopted.clear()
        self.sweep()

    def sweep(self, count: int = _SWEEP) -> None:
        """Delete some stale entries."""
        self._bury(count)
        if not self._stale:
            return
        hashes = [self._stale.popitem()[0] for _ in range(min(count, len(self._stale)))]
        libbpf.delete_many(self._map, hashes)

    def refresh(self, megaflow: Megaflow) -> None:
        """Take over what the kernel has counted of a megaflow up to now; it is in the next round of ``count``, too."""
        for known in (self._known, *self._flushed):
            entry = known.by_megaflow.get(megaflow)
            if entry is not None:
                self._count(entry)

    def count(self) -> Iterator[set[Megaflow]]:
        """One round over all counters, in parts of about a millisecond: megaflows that have counted packets.

        What the kernel has counted before it began is in the megaflows when it is over, also of those that were flushed
        in the meantime.
        """
        span_bytes = _BLOCKS_AT_ONCE * _BLOCK_BYTES
        for spans, start in enumerate(range(0, self._unused_from * STATS.size, span_bytes), start=1):
            for _ in self._count_span(start, start + span_bytes):
                yield self._take_counted()
            if spans % _SPANS_PER_PART == 0 or len(self._counted) >= _COUNTED_PER_PART:
                yield self._take_counted()
        while self._flushed:
            self.sweep()
            yield self._take_counted()
        self.sweep()
        yield self._take_counted()

    def _take_counted(self) -> set[Megaflow]:
        counted, self._counted = self._counted, set()
        return counted

    # Inside

    def _start(self) -> None:
        """Begin a new epoch; what an earlier process installed or adopted stays valid beside it."""
        last = self._kernel.epoch
        mask_uses = [0] * MAX_MASKS
        for hashed, mask, slot in self._earlier_entries(last) if last else []:
            mask_uses[mask - 1] += 1
            self._adopted[hashed] = (mask, slot)
            self._unused_from = max(self._unused_from, slot + 1)
        self._kernel.set_epochs(last + 1, last if self._adopted else 0)
        for index, uses in enumerate(mask_uses):
            place = index.to_bytes(4, "little")
            if not uses:
                self._write_mask(index, NO_MASK)
            elif found := libbpf.look_up(self._kernel.map("masks"), place, MASK.size):
                bits, _, _ = MASK.unpack(found)
                self._masks.adopt(index, bits[:4] + bytes(2) + bits[6:], uses)
        used = {slot for _, slot in self._adopted.values()}
        self._free.extend(slot for slot in range(1, self._unused_from) if slot not in used)

    def _earlier_entries(self, last: int) -> Iterator[tuple[bytes, int, int]]:
        """(hash, mask, slot) of an earlier process's valid entries, all of which are of its last epoch afterwards."""
        valid = {last, self._kernel.adopted_epoch} - {0}
        for hashed, value in libbpf.dump(self._map, HASH_SIZE, ENTRY_SIZE):
            epoch, slot, count, _, key = ENTRY_HEAD.unpack_from(value)
            mask = int.from_bytes(key[4:6], "big")
            if epoch not in valid or not 0 < mask <= MAX_MASKS:
                self._stale[hashed] = None
                continue
            if epoch != last:
                libbpf.update(self._map, hashed, ENTRY_HEAD.pack(last, slot, count, 0, key) + value[ENTRY_HEAD.size :])
            yield hashed, mask, slot

    def _key_under(self, hashed: bytes) -> bytes:
        """The key of the entry that is in the kernel under a hash, or soon will be."""
        value = self._unwritten.get(hashed) or libbpf.look_up(self._map, hashed, ENTRY_SIZE)
        return bytes(ENTRY_HEAD.unpack_from(value)[4]) if value else b""

    def _take_slot(self, *, is_new: bool) -> int | None:
        if is_new and len(self._known.by_hash) + len(self._adopted) >= MAX_MEGAFLOWS - 1:
            return None
        if len(self._free) > _RESTING or self._unused_from >= MAX_MEGAFLOWS:
            if not self._free:
                self._bury(_SWEEP)
            return self._free.popleft() if self._free else None
        self._unused_from += 1
        return self._unused_from - 1

    def _write_alone(self, hashed: bytes, value: bytes) -> None:
        """Write an entry that could not be written with others; room is made if stale ones take it."""
        for _ in range(2):
            try:
                libbpf.update(self._map, hashed, value)
            except HostError as error:
                if error.errno not in (errno.E2BIG, errno.ENOMEM) or not (self._stale or self._flushed):
                    break
                self.sweep()
            else:
                self._stale.pop(hashed, None)
                return
        self._counters.add("not_in_kernel_full")
        self._forget(self._known.by_hash[hashed], is_replaced=False)

    def _write_mask(self, index: int, mask: bytes) -> None:
        libbpf.update(self._kernel.map("masks"), index.to_bytes(4, "little"), mask)

    def _forget(self, entry: _Entry, *, is_replaced: bool) -> None:
        """Leave an entry, whose place in the kernel is taken by another one or empty, or is to be emptied."""
        if not is_replaced:
            self._unwritten.pop(entry.hash, None)
            libbpf.delete(self._map, entry.hash)
        self._count(entry)
        self._free.append(entry.slot)
        self._known.forget(entry)
        self._mask_uses[entry.mask] -= 1
        self._masks.give_back(entry.mask)

    def _bury(self, count: int) -> None:
        """Read the last counts of some entries that were flushed, give back their slots, and have them deleted."""
        while self._flushed and count > 0:
            flushed = self._flushed[0]
            while flushed.by_slot and count > 0:
                _, entry = flushed.by_slot.popitem()  # the last: to look for the first takes longer each time
                flushed.by_hash.pop(entry.hash, None)
                flushed.by_megaflow.pop(entry.megaflow, None)
                self._count(entry)
                self._free.append(entry.slot)
                if entry.hash not in self._known.by_hash:
                    self._stale[entry.hash] = None
                count -= 1
            if not flushed.by_slot:
                self._flushed.popleft()

    def _count_span(self, start: int, end: int) -> Iterator[None]:
        """Look at the counters of every slot in a block that changed since the last time; yields where a part ends."""
        now = self._kernel.stats.bytes(start, end)
        seen = self._seen.get(start, b"")
        if now == seen:
            return
        self._seen[start] = now
        before, after = memoryview(seen), memoryview(now)
        blocks = 0
        for offset in range(0, len(now), _BLOCK_BYTES):
            if before[offset : offset + _BLOCK_BYTES] == after[offset : offset + _BLOCK_BYTES]:
                continue
            first = (start + offset) // STATS.size
            for slot in range(first, first + _BLOCK):
                if entry := self._known.by_slot.get(slot):
                    self._count(entry)
            blocks += 1
            if blocks % _BLOCKS_PER_PART == 0 or len(self._counted) >= _COUNTED_PER_PART:
                yield

    def _count(self, entry: _Entry) -> None:
        packets, bytes_, used_ns, _ = self._kernel.stats.read(entry.slot)
        if packets == entry.packets:
            return
        megaflow = entry.megaflow
        megaflow.packets += packets - entry.packets
        megaflow.bytes += bytes_ - entry.bytes
        megaflow.used = max(megaflow.used, used_ns * _NANOSECONDS)
        self._counted.add(megaflow)
        entry.packets, entry.bytes = packets, bytes_
