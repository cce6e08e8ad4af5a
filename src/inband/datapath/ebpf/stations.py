"""What NORMAL knows, in the kernel: stations by VLAN and address, and what ports are to rules (``bpf/tables.h``)."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping

from inband.datapath.base import Counters
from inband.datapath.ebpf import libbpf
from inband.datapath.ebpf.kernel import Kernel
from inband.datapath.ebpf.layout import (
    ENTRY_HEAD,
    INLET_HEAD,
    INLET_SIZE,
    KEY_SIZE,
    MAX_OPS,
    OP,
    STATION,
    STATION_KEY,
    InletFlag,
    OpKind,
)
from inband.datapath.rules import PortRoles
from inband.errors import HostError
from inband.flow.ports import LOCAL, PortNo
from inband.pipeline.fdb import FdbKey
from inband.vocabulary.addresses import Mac
from inband.vocabulary.instant import Instant

_NS_PER_S = 1_000_000_000
_NO_KEY = bytes(KEY_SIZE)
NEVER = float("-inf")


class Stations:
    """Stations and ports of one kernel. While there is no room for one, what is sent to unknown ones goes up."""

    def __init__(
        self, kernel: Kernel, counters: Counters, slot_of: Callable[[PortNo], int], clock: Callable[[], Instant]
    ) -> None:
        self._kernel = kernel
        self._counters = counters
        self._slot_of = slot_of
        self._clock = clock
        self._map = kernel.map("stations")
        self._inlets: dict[int, bytes] = {}
        self._left_out: set[FdbKey] = set()
        self._left = self._earlier() if kernel.adopted else {}

    def take_left(self, port: PortNo) -> list[tuple[FdbKey, Instant]]:
        """As ``StationTable.take_left``."""
        return sorted(self._left.pop(self._slot_of(port), ()), key=_used)

    def _earlier(self) -> dict[int, list[tuple[FdbKey, Instant]]]:
        """What an earlier process has left, by slot."""
        left: dict[int, list[tuple[FdbKey, Instant]]] = {}
        for key, value in libbpf.dump(self._map, STATION_KEY.size, STATION.size):
            mac, vlan = STATION_KEY.unpack(key)
            slot, _, used_ns, _ = STATION.unpack(value)
            found = FdbKey(int.from_bytes(vlan, "big"), Mac(int.from_bytes(mac, "big")))
            left.setdefault(slot, []).append((found, used_ns / _NS_PER_S))
        return left

    def clear(self) -> None:
        """Forget all; no port takes, sends or floods."""
        found = libbpf.dump(self._map, STATION_KEY.size, STATION.size)
        libbpf.delete_many(self._map, [key for key, _ in found])
        self._left_out.clear()
        self._kernel.set_left_out(False)
        self._write_inlets({})

    def put(self, stations: Mapping[FdbKey, PortNo | None], pinned: Container[FdbKey]) -> None:
        """Where addresses are; None: that is not known any more. No packet moves ``pinned`` ones."""
        used_ns = round(self._clock() * _NS_PER_S)
        self._left_out.difference_update(stations)
        for key, port in stations.items():
            if port is None:
                libbpf.delete(self._map, _key(key))
                continue
            value = STATION.pack(self._slot_of(port), key in pinned, used_ns, 0)
            try:
                libbpf.update(self._map, _key(key), value)
            except HostError:
                libbpf.delete(self._map, _key(key))
                self._counters.add("station_not_in_kernel")
                self._left_out.add(key)
        self._kernel.set_left_out(bool(self._left_out))

    def used_at(self, key: FdbKey) -> Instant:
        """When a packet from this address was decided here last; it counts as one that it was put."""
        found = libbpf.look_up(self._map, _key(key), STATION.size)
        return NEVER if found is None else STATION.unpack(found)[2] / _NS_PER_S

    def set_roles(self, roles: PortRoles) -> None:
        """What ports are. Only while no packet is decided here."""
        slots = {port: self._slot_of(port) for port in roles.takes | roles.sends}
        self._write_inlets({slot: self._inlet(port, roles) for port, slot in slots.items()})
        if roles.local_mac is None:
            self._kernel.set_local(0, bytes(6))
        else:
            self._kernel.set_local(self._slot_of(LOCAL), roles.local_mac.packed)

    def _inlet(self, port: PortNo, roles: PortRoles) -> bytes:
        fits = len(roles.floods) - (port in roles.floods) <= MAX_OPS
        floods = [self._slot_of(each) for each in roles.floods if each != port] if fits else []
        flags = InletFlag.FLOODS if fits else 0
        flags |= InletFlag.TAKES if port in roles.takes else 0
        flags |= InletFlag.SENDS if port in roles.sends else 0
        return INLET_HEAD.pack(flags, 0) + _entry(floods)

    def _write_inlets(self, wanted: Mapping[int, bytes]) -> None:
        for slot in {*self._inlets, *wanted}:
            value = wanted.get(slot, bytes(INLET_SIZE))
            if self._inlets.get(slot) != value:
                libbpf.update(self._kernel.map("inlets"), slot.to_bytes(4, "little"), value)
        self._inlets = dict(wanted)


def _used(station: tuple[FdbKey, Instant]) -> Instant:
    return station[1]


def _entry(slots: Iterable[int]) -> bytes:
    ops = [OP.pack(OpKind.OUTPUT, 0, slot, 0) for slot in slots]
    return (ENTRY_HEAD.pack(0, 0, len(ops), 0, _NO_KEY) + b"".join(ops)).ljust(INLET_SIZE - INLET_HEAD.size, b"\0")


def _key(key: FdbKey) -> bytes:
    return STATION_KEY.pack(key.mac.packed, key.vlan.to_bytes(2, "big"))
