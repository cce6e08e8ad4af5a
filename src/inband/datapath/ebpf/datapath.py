"""The eBPF datapath: known flows are forwarded in the kernel, by the program in ``bpf/``; the rest comes up.

This process decides and does the rare things: it takes frames that no megaflow matched out of two rings, asks its
client, writes the answer into the kernel's maps, and carries out itself what the program cannot. What the program knows
goes on without it, also when it dies (``kernel``).

All megaflows are in a classifier here too. It answers for frames that came up before their megaflow was in the kernel,
of which a burst of a new flow brings many, and for megaflows that the kernel has no place or no words for.

Invariants:
- Control frames are taken before data frames, and again after each few frames of data, whatever the flood of them.
- The work of one wake-up is bounded, so that the event loop's other work (the control channel itself) gets its turn.
- What the kernel or a frame does becomes a counter; nothing of it reaches the event loop.

The clock must be the monotonic one, by which the program notes when a megaflow was used. Linux 6.1 is the oldest on
which this is tried (``make old-kernel``); 5.12 has all helpers. Before 6.6, which has tcx, clsact takes its place.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from struct import Struct
from time import monotonic

from inband.datapath.base import ControlHints, Counters, DatapathClient, Megaflow, PortCounters
from inband.datapath.classifier import MAX_MEGAFLOWS, DatapathClassifier
from inband.datapath.ebpf import libbpf
from inband.datapath.ebpf.entries import Entries
from inband.datapath.ebpf.kernel import Kernel
from inband.datapath.ebpf.layout import UpcallReason, Verdict
from inband.datapath.ebpf.meters import KernelMeters
from inband.datapath.ebpf.ops import compile_ops
from inband.datapath.ebpf.ports import Ownership, Ports
from inband.datapath.ebpf.ring import Ring
from inband.datapath.ebpf.rules import KernelRules
from inband.datapath.ebpf.settling import Settling
from inband.datapath.ebpf.spare import Spare
from inband.datapath.ebpf.stations import Stations
from inband.datapath.ebpf.upcall import Upcall, read_upcall
from inband.datapath.execute import execute
from inband.datapath.pace import POLL_S
from inband.errors import HostError
from inband.flow.actions import DatapathAction, Meter, ToController
from inband.flow.fields import FlowKey
from inband.flow.ports import PortNo
from inband.host.ports import PortOwnership
from inband.packet.frame import Frame
from inband.packet.parse import parse
from inband.table.meters import MeterEntry
from inband.vocabulary.instant import Instant

# Upcalls take 50 us and more each: so many control frames in a row, and data frames between two looks at control.
CONTROL_BUDGET = 64
DATA_BUDGET = 16
# Looks at the rings before the event loop has its turn.
ROUNDS = 2

# How long entries and ports of a process that died stay beside the new ones: long enough for ports to be added and
# controllers to be back and to have said what they want, short enough that an old decision puzzles no one.
ADOPTION_S = 5.0

_WORD = Struct("=Q")
_WORD_BITS = 64
_LOST_NAMES = {Verdict.UPCALL_FULL_CONTROL: "rx_queue_full_control", Verdict.UPCALL_FULL_DATA: "rx_queue_full_data"}


class EbpfDatapath:
    """Ports are interfaces of this network namespace. ``attach`` it to an event loop, or call ``poll``."""

    kind = "ebpf"

    def __init__(
        self,
        client: DatapathClient | None = None,
        *,
        clock: Callable[[], Instant] = monotonic,
        ownership: Ownership | None = None,
        max_megaflows: int = MAX_MEGAFLOWS,
        pin_dir: Path | None = None,
        spare: Spare | None = None,
    ) -> None:
        """Load the program. ``pin_dir``, if given, is where it outlives this process. Raises HostError.

        ``spare`` may have a program that is loaded already.
        """
        self.client = client
        self._clock = clock
        self._counters = Counters()
        self._kernel = Kernel(pin_dir, spare)
        self._meters = KernelMeters(self._kernel, clock, self._counters)
        self._classifier = DatapathClassifier(max_megaflows)
        self._entries = Entries(self._kernel, self._counters)
        self._settling = Settling(self._kernel.attachments, self._counters, self._kernel.notes)
        owner = ownership or PortOwnership(leaves_program=True)
        self._ports = Ports(self._kernel, self._counters, owner, self._settling)
        stations = Stations(self._kernel, self._counters, self._ports.slot_of, clock)
        self.rules = KernelRules(self._kernel, stations, self._ports.slot_of, self._meters.in_kernel)
        self._cpus = libbpf.cpu_count()
        self._verdicts_before = self._verdicts()
        self._control_ports: frozenset[int] = frozenset()
        self._is_polling = False
        self._late_hits: set[Megaflow] = set()
        self._held: list[tuple[PortNo, int | None, Frame]] = []
        self._holds = False
        self._has_backlog = False
        self._loop: AbstractEventLoop | None = None
        self._turn_ends: Callable[[], None] | None = None
        self._adoption: TimerHandle | None = None

    @property
    def notes(self) -> list[str]:
        """What is missing here, for people."""
        return self._kernel.notes

    @property
    def program(self) -> int:
        """The program's descriptor, for tests by the kernel's test-run facility."""
        return self._kernel.program

    def settle(self) -> None:
        """Give all ports the links now that an event loop gives them by and by (``settling``): 14 ms for each."""
        while self._settling.step():
            pass

    # The loop

    def attach(self, loop: AbstractEventLoop, turn_ends: Callable[[], None] | None = None) -> None:
        """Have the event loop call ``poll`` whenever frames wait, which calls ``turn_ends`` when it has taken some."""
        self._loop, self._turn_ends = loop, turn_ends
        for ring in self._rings():
            loop.add_reader(ring.descriptor, self.poll)
        if self._kernel.adopted:
            self._adoption = loop.call_later(ADOPTION_S, self.end_adoption)
        self._settling.attach(loop)

    def detach(self) -> None:
        """Leave the event loop."""
        if self._loop is not None:
            for ring in self._rings():
                self._loop.remove_reader(ring.descriptor)
            self._loop = None
        self._settling.detach()
        if self._adoption is not None:
            self._adoption.cancel()
            self._adoption = None

    def end_adoption(self) -> None:
        """Entries and ports of an earlier process that are not ours by now are gone. ``attach`` sees to it in time."""
        self._entries.release_adopted()
        self._meters.release_adopted()
        self._ports.release_earlier()

    def _rings(self) -> tuple[Ring, Ring]:
        return self._kernel.control_ring, self._kernel.data_ring

    @property
    def is_behind(self) -> bool:
        """As ``Datapath.is_behind``. Control frames are never part of a backlog."""
        return self._has_backlog and self._holds

    def poll(self) -> None:
        """Handle frames that wait, a bounded number and no longer than POLL_S, control first. Does not block."""
        self._is_polling = True
        try:
            self._take_some(self._clock() + POLL_S)
            if self._turn_ends is not None:
                self._turn_ends()
        finally:
            self._is_polling = False
            self._entries.commit()

    def _take_some(self, until: Instant) -> None:
        for _ in range(ROUNDS):
            control = self._take(self._kernel.control_ring, CONTROL_BUDGET, until)
            data = self._take_data(until)
            if self._clock() >= until:
                self._has_backlog = self._kernel.data_ring.has_more
                return
            if data < DATA_BUDGET:
                self._has_backlog = False
            if not control and not data:
                return
        self._has_backlog = data == DATA_BUDGET

    def _take_data(self, until: Instant) -> int:
        """Handle some data frames, DATA_BUDGET at most; returns how many.

        A frame that is alone leaves at once. Where more wait they leave together, in their order: each that leaves by
        itself may wake up a sleeping receiver on another CPU, which takes longer than to decide.
        """
        try:
            return self._take(self._kernel.data_ring, DATA_BUDGET, until, may_hold=True)
        finally:
            self._holds = False
            held, self._held = self._held, []
            for port, queue, frame in held:
                self._ports.send(port, queue, frame)

    def _take(self, ring: Ring, budget: int, until: Instant, *, may_hold: bool = False) -> int:
        """Handle up to ``budget`` frames of a ring, one at least; returns how many.

        From where more wait, outputs may be held.
        """
        taken = 0
        while taken < budget and (record := ring.read()) is not None:
            taken += 1
            self._holds = self._holds or (may_hold and ring.has_more)
            self._receive(read_upcall(record))
            if self._clock() >= until:
                break
        return taken

    def _receive(self, upcall: Upcall) -> None:
        if not upcall.is_whole:
            self._counters.add("upcall_offload_unknown")
        frame = upcall.frame
        key = parse(frame.data, upcall.in_port)
        megaflow = self._classifier.find(key)
        if upcall.reason is UpcallReason.DECIDED:
            if megaflow is None:
                self.rules.told(upcall.in_port, frame, key)
        elif megaflow is not None:
            actions = megaflow.actions
            if upcall.reason is UpcallReason.METERED_ACTION:
                actions = actions[1:]
            if upcall.reason is UpcallReason.MISS:  # else the kernel has counted it
                self._counters.add("late_hit")
                megaflow.packets += frame.segments
                megaflow.bytes += len(frame.data)
                megaflow.used = self._clock()
                self._late_hits.add(megaflow)
            self.execute(upcall.in_port, frame, actions)
        elif self.client is not None:
            self.client.upcall(upcall.in_port, frame, key)
        else:
            self._counters.add("upcall_no_client")

    # Where frames go (execute.Outlet)

    def execute(self, in_port: PortNo, frame: Frame, actions: Iterable[DatapathAction]) -> None:
        """As ``Datapath.execute``."""
        execute(in_port, frame, actions, self)

    def output(self, port: PortNo, queue: int | None, frame: Frame) -> None:
        """Send a frame (``execute.Outlet``), or hold it until those taken with it are done."""
        if self._holds:
            self._held.append((port, queue, frame))
        else:
            self._ports.send(port, queue, frame)

    def packet_in(self, in_port: PortNo, frame: Frame, action: ToController) -> None:
        """Hand a frame to the client for the controllers (``execute.Outlet``)."""
        self._counters.add("to_controller" if self.client else "upcall_no_client")
        if self.client:
            self.client.packet_in(in_port, frame, action)

    def meter(self, meter_id: int, frame: Frame) -> Frame | None:
        """Count a frame against a meter (``execute.Outlet``)."""
        return self._meters.pass_by(meter_id, frame)

    # Ports

    def add_port(self, port: PortNo, interface: str) -> None:
        """As ``Datapath.add_port``. A port that is there is opened again: its interface may have a new index."""
        self._ports.add(port, interface)
        if port not in self._ports.kept:
            self.rules.stations.take_left(port)  # it was behind another interface

    def remove_port(self, port: PortNo) -> None:
        """As ``Datapath.remove_port``."""
        self._ports.remove(port)

    def set_peer_redirect(self, *, allowed: bool) -> None:
        """Whether known unicast may skip ports (``peer``). Who allows it calls ``look_at_interface``. At first: no."""
        self._ports.set_peer_redirect(allowed=allowed)

    def look_at_interface(self, index: int | None) -> None:
        """The kernel said that an interface or its traffic control has changed; None: that any may have."""
        self._ports.look_at(index)

    def port_counters(self, port: PortNo) -> PortCounters:
        """As ``Datapath.port_counters``."""
        return self._ports.counters(port)

    def set_meter(self, meter_id: int, meter: MeterEntry | None) -> None:
        """As ``Datapath.set_meter``."""
        if self._meters.put(meter_id, meter):
            named = Meter(meter_id)
            self.remove([megaflow for megaflow in self._classifier if named in megaflow.actions])

    def set_control_pace(self, per_s: int) -> None:
        """As ``Datapath.set_control_pace``."""
        self._kernel.set_control_pace(per_s)

    def set_control_hints(self, hints: ControlHints) -> None:
        """As ``Datapath.set_control_hints``; only words of the bitmap that differ are written."""
        before, after = self._control_ports, hints.ports
        if before == after:
            return
        self._control_ports = after
        for word in {port // _WORD_BITS for port in before ^ after}:
            bits = sum(1 << port % _WORD_BITS for port in after if port // _WORD_BITS == word)
            try:
                libbpf.update(self._kernel.map("control_ports"), word.to_bytes(4, "little"), _WORD.pack(bits))
            except HostError:
                self._counters.add("filter_refused")

    # Cache

    def install(self, megaflow: Megaflow, packet: FlowKey) -> None:
        """As ``Datapath.install``."""
        taken, replaced = self._classifier.install(megaflow)
        if not taken:
            self._counters.add("cache_full")
            return
        known_unicast, meters = megaflow.translation.is_known_unicast, self._meters.in_kernel
        ops = compile_ops(megaflow.actions, self._ports.slot_of, known_unicast=known_unicast, meters=meters)
        self._entries.install(megaflow, ops, packet)
        if replaced is not None and replaced is not megaflow:
            self._entries.remove([replaced])
        if not self._is_polling:  # else ``poll`` writes it, together with others
            self._entries.commit()

    def remove(self, megaflows: Iterable[Megaflow]) -> None:
        """As ``Datapath.remove``."""
        self._entries.remove(self._classifier.remove(megaflows))

    def flush(self) -> None:
        """As ``Datapath.flush``. Entries adopted from an earlier process stay until their time is over."""
        self._classifier.flush()
        self._entries.flush()

    def refresh(self, megaflow: Megaflow) -> None:
        """As ``Datapath.refresh``."""
        self._entries.refresh(megaflow)

    def megaflows(self) -> list[Megaflow]:
        """As ``Datapath.megaflows``."""
        return list(self._classifier)

    def count(self) -> Iterator[list[Megaflow]]:
        """As ``Datapath.count``."""
        here, self._late_hits = self._late_hits, set()
        yield list(here)
        for counted in self._entries.count():
            yield list(counted)
        self._meters.count()

    # The rest

    def counters(self) -> Mapping[str, int]:
        """As ``Datapath.counters``: the program's verdicts and this process's."""
        total = Counters(dict(self._counters.values))
        for verdict, now, before in zip(Verdict, self._verdicts(), self._verdicts_before, strict=True):
            if now > before:
                total.add(_LOST_NAMES.get(verdict, verdict.name.lower()), now - before)
        for name, count in self._ports.losses().values.items():
            total.add(name, count)
        if self._entries.adopted_count:
            total.values["megaflows_adopted"] = self._entries.adopted_count
        return total.values

    def _verdicts(self) -> list[int]:
        return [self._verdict(verdict) for verdict in Verdict]

    def _verdict(self, verdict: Verdict) -> int:
        key, size = int(verdict).to_bytes(4, "little"), _WORD.size * self._cpus
        found = libbpf.look_up(self._kernel.map("verdicts"), key, size)
        return sum(value for (value,) in _WORD.iter_unpack(found or b""))

    def close(self) -> None:
        """As ``Datapath.close``: nothing stays in the kernel."""
        self.detach()
        self._entries.flush()
        self._ports.release_earlier()
        for port in list(self._ports):
            self.remove_port(port)
        self._meters.close()
        self._kernel.close()

    def abandon(self) -> None:
        """Give back descriptors and memory, and leave the kernel as it is: known flows go on if there are pins.

        It is what the end of a process does that was killed; another one can take over in its place.
        """
        self.detach()
        self._ports.abandon()
        self._meters.close()
        self._kernel.abandon()
