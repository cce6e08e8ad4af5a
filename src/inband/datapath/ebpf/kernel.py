"""The program and its maps in the kernel, made anew or taken over from a process that died.

Everything that must outlive the process is pinned in a bpffs: the maps, and the links that hold the program at its
interfaces. So after kill -9 known flows go on, and the next process finds the maps, loads its own program (it may be a
newer one) onto them, and exchanges the program in each link without a gap. The rings are not pinned: what was not taken
out of them is lost, counted by the kernel when they were full.

The directory's name holds LAYOUT_VERSION. Pins of another version, or only some of them, are no use: they are removed,
and with them the links of a process that died.

Invariants: an orderly ``close`` leaves nothing behind. Without a directory nothing is pinned, and everything
goes with the process.
"""

from __future__ import annotations

import mmap
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from inband.datapath.ebpf import libbpf
from inband.datapath.ebpf.attachments import Attachments
from inband.datapath.ebpf.bpffs import ensure_bpffs, unmount
from inband.datapath.ebpf.layout import (
    CONTROL_PER_S,
    CONTROL_RING,
    DATA_RING,
    FIELD_WORDS,
    KEY_WORDS,
    MAX_MEGAFLOWS,
    MAX_RULES,
    MAX_TABLES,
    RANGE,
    STATS,
    TABLES,
)
from inband.datapath.ebpf.loading import PINNED_MAPS, Loaded, load, version_dir
from inband.datapath.ebpf.mapped import MappedArray
from inband.datapath.ebpf.ring import Ring
from inband.datapath.ebpf.spare import Spare
from inband.errors import HostError

# It says what a meter says of a packet.
METER_PROGRAM = "meter"
# Words of struct config. Each is written by one store, for the program reads them meanwhile; ``Struct.pack_into`` would
# fill them with zeros first.
_EPOCH, _ADOPTED_EPOCH, _MASK_COUNT, _CONTROL_PER_S = range(4)
_LEFT_OUT_AT = 14
# In struct tables what each table has comes last.
_MISSES_AT = TABLES.size - MAX_TABLES * 4
_RANGES_AT = _MISSES_AT - MAX_TABLES * RANGE.size
_SECRET = range(4, 4 + 2 * (KEY_WORDS + FIELD_WORDS))


class Kernel:
    """One switch's program and maps. ``adopted``: they were there already. ``notes`` say what is missing."""

    def __init__(self, pin_dir: Path | None = None, spare: Spare | None = None) -> None:
        """Load everything, or take what ``spare`` has; ``pin_dir`` becomes a bpffs. Raises HostError."""
        self.notes: list[str] = []
        self._pins = self._prepare(pin_dir)
        self._object, self.program, adopted = self._load(spare)
        self.adopted = adopted is not None
        try:
            if self._pins is not None and not self.adopted:
                self._pin_maps(self._pins)
            self.attachments = Attachments(self.program, self._pins)
            self.meter_program = self._object.program(METER_PROGRAM)
            self.config = mmap.mmap(self.map("config"), mmap.PAGESIZE)
            self._words = memoryview(self.config).cast("I")
            self.secret = self._keep_secret()
            self.set_control_pace(CONTROL_PER_S)
            self.stats = MappedArray(self.map("stats"), STATS, MAX_MEGAFLOWS)
            self.tables = mmap.mmap(self.map("tables"), mmap.PAGESIZE)
            self._tables_words = memoryview(self.tables).cast("I")
            self.rule_stats = MappedArray(self.map("rule_stats"), STATS, MAX_RULES)
            self.control_ring = Ring(self.map("upcalls_control"), CONTROL_RING)
            self.data_ring = Ring(self.map("upcalls_data"), DATA_RING)
        except BaseException:
            self._object.close()
            raise

    def map(self, name: str) -> int:
        """A map's descriptor."""
        return self._object.map(name)

    @property
    def epoch(self) -> int:
        """The epoch of valid entries."""
        return self._words[_EPOCH]

    @property
    def adopted_epoch(self) -> int:
        """The epoch of entries that an earlier process left and that are valid too; 0 for none."""
        return self._words[_ADOPTED_EPOCH]

    def set_epochs(self, epoch: int, adopted: int) -> None:
        """Which entries are valid from now on: two stores in memory that the program reads."""
        self._words[_EPOCH], self._words[_ADOPTED_EPOCH] = epoch, adopted

    def set_mask_count(self, count: int) -> None:
        """How many places the program looks at for masks."""
        self._words[_MASK_COUNT] = count

    def set_control_pace(self, per_s: int) -> None:
        """How many control frames without an entry go up from each port."""
        self._words[_CONTROL_PER_S] = per_s

    @property
    def generation(self) -> int:
        """Which rules the program decides by; 0: by none."""
        return self._tables_words[0]

    def set_generation(self, generation: int) -> None:
        """Have the program decide by the rules from now on, or not: one store."""
        self._tables_words[0] = generation

    def set_rule_masks(self, counts: Mapping[int, int]) -> None:
        """How many masks each table's rules have; they stand one table after the other. Only without a generation."""
        first = 0
        for table_id in range(MAX_TABLES):
            count = counts.get(table_id, 0)
            RANGE.pack_into(self.tables, _RANGES_AT + table_id * RANGE.size, first, count)
            first += count

    def set_misses(self, slots: Mapping[int, int]) -> None:
        """The slots of tables whose packets without a rule are dropped. Only without a generation."""
        for table_id in range(MAX_TABLES):
            self._tables_words[_MISSES_AT // 4 + table_id] = slots.get(table_id, 0)

    def set_local(self, slot: int, mac: bytes) -> None:
        """The port's slot and the address of LOCAL; slot 0: it is not known. Only while there is no generation."""
        self._tables_words[1] = slot
        self.tables[8:14] = mac

    def set_left_out(self, has_left_out: bool) -> None:
        """Whether there are stations that had no room in the map: one that is not there may be known."""
        self.tables[_LEFT_OUT_AT] = has_left_out

    def _keep_secret(self) -> tuple[int, ...]:
        """What the hashes of entries' keys depend on: made with the maps, and good as long as they are."""
        if not self.epoch:
            for at in _SECRET:
                self._words[at] = int.from_bytes(os.urandom(4), "big")
        return tuple(self._words[at] for at in _SECRET)

    # Life

    def close(self) -> None:
        """Unpin everything, what has links too, and give back all memory. Ports are detached already."""
        self.attachments.close()
        self.abandon()
        if self._pins is not None:
            remove_pins(self._pins.parent)

    def abandon(self) -> None:
        """Give back descriptors and memory, as the end of the process does; what is pinned stays and works."""
        self.attachments.abandon()
        self.control_ring.close()
        self.data_ring.close()
        self._words.release()
        self._tables_words.release()
        self.config.close()
        self.stats.close()
        self.tables.close()
        self.rule_stats.close()
        self._object.close()

    def _prepare(self, pin_dir: Path | None) -> Path | None:
        if pin_dir is None:
            return None
        try:
            ensure_bpffs(pin_dir)
        except HostError as error:
            self.notes.append(f"flows do not outlive the process: {error}")
            return None
        pins = version_dir(pin_dir)
        for other in pin_dir.glob("v*"):
            if other != pins:
                _remove(other)
        pins.mkdir(mode=0o700, exist_ok=True)
        return pins

    def _load(self, spare: Spare | None) -> Loaded:
        loaded = spare.take(self._pins) if spare is not None else None
        return loaded or load(self._pins)

    def _pin_maps(self, pins: Path) -> None:
        _remove(pins)
        pins.mkdir(mode=0o700, exist_ok=True)
        for name in PINNED_MAPS:
            libbpf.pin(self.map(name), pins / name)


def remove_pins(pin_dir: Path) -> None:
    """Take everything away that a process left there, program and flows; nothing there is no error."""
    for pins in pin_dir.glob("v*"):
        _remove(pins)
    if os.path.ismount(pin_dir):
        unmount(pin_dir)
    with suppress(OSError):
        pin_dir.rmdir()


def _remove(pins: Path) -> None:
    """Remove a directory of pins; what only they held goes away."""
    with suppress(OSError):
        for path in _files(pins):
            path.unlink()
        pins.rmdir()


def _files(pins: Path) -> Iterator[Path]:
    # Links first: no program runs on without its maps' owner.
    yield from sorted(pins.iterdir(), key=lambda path: not path.name.startswith("link-"))


def probe() -> str | None:
    """Why the eBPF datapath cannot be used here, for people; None when it can."""
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
        Kernel().close()
    except HostError as error:
        return str(error)
    except OSError as error:
        return f"open a packet socket: {error.strerror}; this needs CAP_NET_RAW"
    return None
