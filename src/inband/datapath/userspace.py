"""The userspace datapath: every frame passes through this process, by packet sockets.

It needs no eBPF, only packet sockets, which a rootless user namespace has too. Frames cross Python, so the design is
about doing little per frame: a frame of a known flow is received into one buffer, recognised by a few header bytes
(``microflow``), and sent from that same buffer, kernel's offload header included, uncut and uncopied. The next slower
way parses the flow key and looks into the megaflow cache; the slowest is an upcall to the client.

Invariants:
- The microflow cache only ever repeats what the megaflow cache would say: an entry dies with its megaflow, and with
  any change of ports.
- Control sockets are emptied before data sockets, and again after each UPCALL_BUDGET of upcalls, so that a flood of
  unknown data delays control frames by no more than these, whatever its rate.
- A storm of neighbour discovery costs no more than a few thousand frames a second: what is over the pace lets the
  socket rest, and the kernel drops the rest of it. Control frames have another socket, and a port that sends up too
  many of them loses those of which no microflow is known.
- The buffer holds one frame at a time, from its receipt to its last output; what goes up is a copy.
- The work of one wake-up is bounded, so that the event loop's other work (the control channel itself) gets its turn.
- Whatever the kernel answers about a socket becomes a counter; nothing of it reaches the event loop.

Not here: sockets (``userspace_port``), who else may see the frames (``host.ports``), and what becomes of a frame
(the client).
"""

from __future__ import annotations

import errno
import select
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from time import monotonic
from typing import Protocol

from inband.datapath.base import ControlHints, Counters, DatapathClient, Megaflow, PortCounters
from inband.datapath.classifier import MAX_MEGAFLOWS, DatapathClassifier
from inband.datapath.execute import execute, plain_outputs
from inband.datapath.metering import Meters
from inband.datapath.microflow import BLIND_BITS, MicroflowKey, microflow_key
from inband.datapath.pace import CONTROL, POLL_S, Pace, is_discovery, is_link_local
from inband.datapath.userspace_filter import Queue
from inband.datapath.userspace_offload import VNET_SIZE, count_segments
from inband.datapath.userspace_port import BUFFER_SIZE, LOST, MAX_FRAME, TX_FAULTS, Port, Tap, open_port
from inband.errors import HostError, UsageError
from inband.flow.actions import DatapathAction, ToController
from inband.flow.fields import FlowKey
from inband.flow.ports import LOCAL, PortNo
from inband.host.ports import PortOwnership
from inband.packet.frame import Frame
from inband.packet.parse import parse
from inband.packet.vnet import parse_vnet
from inband.table.meters import MeterEntry
from inband.vocabulary.instant import Instant

# The interface went down, or away: said once by each of its sockets.
RX_DOWN = (errno.ENETDOWN, errno.ENODEV, errno.ENXIO)

# Frames taken from one socket before the next one has its turn. Known flows take 5 us (small) to 50 us (64 kB) each.
FRAME_BUDGET = 32
# Upcalls take 100 us and more each: so many for one socket, and for data between two looks at the control sockets.
UPCALL_BUDGET = 8
# Sockets served in a round. epoll puts those it has told of behind the others that are ready: all have their turn.
ROUND_SOCKETS = 4
# Rounds before the event loop has its turn.
ROUNDS = 4
# Turns in a row that ended with frames still waiting to be decided; then there is a backlog of them.
BACKLOG_TURNS = 4
# How long discovery of a port rests that is over its pace: so 100 times a second FRAME_BUDGET frames are looked at,
# which takes some 3 % of a CPU and is three times the pace.
REST_S = 0.01
# Microflows remembered per port (about 400 bytes each); when there are more, all are forgotten and learned anew.
MAX_MICROFLOWS = 8192


class Ownership(Protocol):
    """Keeps the host's own stack from seeing the frames of a port (``host.ports``)."""

    def own_port(self, interface: str) -> object:
        """From now on only packet sockets see what the interface receives. Raises HostError or UsageError."""

    def release_port(self, interface: str) -> None:
        """Give it back. Raises nothing."""


class _Path:
    """What frames of one megaflow do. ``outputs`` is None when actions must look into the frame."""

    __slots__ = ("live", "megaflow", "outputs")

    def __init__(
        self, megaflow: Megaflow, outputs: tuple[tuple[Port, Callable[[memoryview], int]], ...] | None
    ) -> None:
        self.live = True
        self.megaflow = megaflow
        self.outputs = outputs


class UserspaceDatapath:
    """Ports are interfaces of this network namespace. ``attach`` it to an event loop, or call ``poll``."""

    kind = "userspace"
    rules = None

    def __init__(
        self,
        client: DatapathClient | None = None,
        *,
        clock: Callable[[], Instant] = monotonic,
        ownership: Ownership | None = None,
        max_megaflows: int = MAX_MEGAFLOWS,
    ) -> None:
        """``client`` may be given later, by setting the attribute, but before the first ``poll``.

        ``ownership`` is the kernel's (``host.ports``) unless another one is given.
        """
        self.client = client
        self._clock = clock
        self._now = clock()
        self._ownership = ownership or PortOwnership()
        self._classifier = DatapathClassifier(max_megaflows)
        self._paths: dict[Megaflow, _Path] = {}
        self._buffer = bytearray(BUFFER_SIZE)
        self._view = memoryview(self._buffer)
        self._ports: dict[PortNo, Port] = {}
        self._known: dict[PortNo, dict[MicroflowKey, _Path]] = {}
        self._taps: dict[int, Tap] = {}
        self._control = select.epoll()
        self._data = select.epoll()
        self._counters = Counters()
        self._meters = Meters(clock, self._counters)
        self._control_ports: frozenset[int] = frozenset()
        self._control_allowance = CONTROL
        self._resting: deque[tuple[Instant, Tap]] = deque()
        self._full_turns = 0
        self.is_behind = False
        self._poll_end = self._now
        self._is_late = False  # the last ``poll`` ended by its time
        self._loop: AbstractEventLoop | None = None
        self._turn_ends: Callable[[], None] | None = None

    # The loop

    def attach(self, loop: AbstractEventLoop, turn_ends: Callable[[], None] | None = None) -> None:
        """Have the event loop call ``poll`` whenever frames wait, which calls ``turn_ends`` when it has taken some."""
        self._loop, self._turn_ends = loop, turn_ends
        loop.add_reader(self._control.fileno(), self.poll)
        loop.add_reader(self._data.fileno(), self.poll)

    def detach(self) -> None:
        """Leave the event loop."""
        if self._loop is not None:
            self._loop.remove_reader(self._control.fileno())
            self._loop.remove_reader(self._data.fileno())
            self._loop = None

    def poll(self) -> None:
        """Handle frames that wait, a bounded number and no longer than POLL_S, control first. Does not block."""
        self._now = self._clock()
        self._poll_end = self._now + POLL_S
        if self._resting:
            self._end_rests()
        has_backlog = self._poll_rounds()
        self._is_late = has_backlog and self._is_over
        self._full_turns = self._full_turns + 1 if has_backlog else 0
        if self._turn_ends is not None:
            self._turn_ends()

    def _poll_rounds(self) -> bool:
        """Whether data frames that are to be decided were left."""
        has_backlog = False
        for _ in range(ROUNDS):
            self._poll_control()
            full = went_up = has_backlog = False
            for tap in self._ready(self._data):
                self.is_behind = self._full_turns >= BACKLOG_TURNS
                taken, upcalls = self._drain(tap)
                self.is_behind = False
                full = full or taken == FRAME_BUDGET
                has_backlog = has_backlog or upcalls == UPCALL_BUDGET
                if upcalls:
                    went_up = True
                    self._poll_control()
                    if self._is_over:
                        return True
            if went_up or not full:
                break
        return has_backlog

    @property
    def _is_over(self) -> bool:
        return self._clock() >= self._poll_end

    def _poll_control(self) -> None:
        for _ in range(ROUNDS):
            taps = self._ready(self._control)
            for tap in taps:
                if self._drain(tap)[1] and self._is_over:
                    return
            if not taps:
                return

    def _ready(self, epoll: select.epoll) -> list[Tap]:
        """The next few sockets that have frames; one while decisions take so long that more would not have a turn."""
        most = 1 if self._is_late else ROUND_SOCKETS
        return [tap for descriptor, _ in epoll.poll(0, most) if (tap := self._taps.get(descriptor))]

    def _drain(self, tap: Tap) -> tuple[int, int]:
        """Switch frames of a socket until it is empty or a budget is spent; returns (frames, upcalls)."""
        port, receive, buffer, view = tap.port, tap.receive, self._buffer, self._view
        counters, known = port.counters, self._known[port.number]
        taken = upcalls = 0
        while taken < FRAME_BUDGET and upcalls < UPCALL_BUDGET:
            try:
                end = receive()
            except BlockingIOError:
                break
            except OSError as error:
                self._receive_failed(tap, error)
                break
            taken += 1
            segments = count_segments(buffer, end) if buffer[1] else 1
            size = end - VNET_SIZE
            counters.rx_packets += segments
            counters.rx_bytes += size
            key = microflow_key(buffer, VNET_SIZE, end)
            path = known.get(key) if key is not None else None
            if path is None or not path.live:
                upcalls += self._switch_unknown(tap, key, end, segments)
                if self._ports.get(port.number) is not port or self._is_over:
                    break  # the client removed it or opened it again; or time is over
                continue
            megaflow = path.megaflow
            megaflow.packets += segments
            megaflow.bytes += size
            megaflow.used = self._now
            if not path.outputs:
                self._run(port, megaflow, self._frame(end))
                continue
            for out, send in path.outputs:
                try:
                    send(view[:end])
                except OSError as error:
                    self._counters.add(TX_FAULTS.get(error.errno or 0, "tx_refused"))
                    out.counters.tx_dropped += segments
                else:
                    out.counters.tx_packets += segments
                    out.counters.tx_bytes += size
        return taken, upcalls

    def _switch_unknown(self, tap: Tap, key: MicroflowKey | None, end: int, segments: int) -> bool:
        """Switch the frame in the buffer by the megaflow cache, or send it up; returns whether it went up.

        While its port sends up too many, a control frame of which no microflow is known is lost: what was decided
        lately has one, and to look for the rest would take as long as to decide.
        """
        port = tap.port
        is_paced = tap.queue is Queue.CONTROL and port.number != LOCAL
        if is_paced and port.control_pace.is_over(self._now):
            self._counters.add("control_flood")
            port.counters.rx_dropped += segments
            return False
        if port.number != LOCAL and (paced := self._paced(end)) and not port.paces[paced].keeps(self._now):
            self._counters.add(LOST[paced])
            port.counters.rx_dropped += segments
            self._rest(port.tap(paced))
            return False
        frame = self._frame(end)
        if len(frame.data) > MAX_FRAME:
            self._counters.add("rx_too_big")
            port.counters.rx_errors += 1
            return False
        flow_key = parse(frame.data, port.number)
        megaflow = self._classifier.find(flow_key)
        if megaflow is None:
            self._counters.add("miss" if self.client else "upcall_no_client")
            if is_paced:
                port.control_pace.keeps(self._now)
            if self.client:
                self.client.upcall(port.number, frame, flow_key)
            return True
        self._counters.add("megaflow_hit")
        megaflow.packets += segments
        megaflow.bytes += len(frame.data)
        megaflow.used = self._now
        if key is not None and not megaflow.match.mask & BLIND_BITS:
            self._remember(port, key, megaflow)
        self._run(port, megaflow, frame)
        return False

    def _paced(self, end: int) -> Queue | None:
        """The queue of the frame in the buffer, if it is one that has a pace."""
        if is_discovery(self._buffer, VNET_SIZE, end):
            return Queue.DISCOVERY
        return Queue.LINK_LOCAL if is_link_local(self._buffer, VNET_SIZE, end) else None

    def _rest(self, tap: Tap) -> None:
        """Do not read a socket for a moment."""
        if tap.rests:
            return
        tap.rests = True
        self._control.modify(tap.socket.fileno(), 0)
        self._resting.append((self._now + REST_S, tap))
        if self._loop is not None:
            self._loop.call_later(REST_S, self._poll_attached)

    def _poll_attached(self) -> None:
        if self._loop is not None:
            self.poll()

    def _end_rests(self) -> None:
        while self._resting and self._resting[0][0] <= self._now:
            tap = self._resting.popleft()[1]
            tap.rests = False
            if self._taps.get(tap.socket.fileno()) is tap:
                self._control.modify(tap.socket.fileno(), select.EPOLLIN)

    def _run(self, port: Port, megaflow: Megaflow, frame: Frame) -> None:
        actions = megaflow.actions
        if not actions:
            self._counters.add("dropped_by_flow")
        execute(port.number, frame, actions, self)

    def _frame(self, end: int) -> Frame:
        """The frame in the buffer as a value."""
        return Frame(bytes(self._view[VNET_SIZE:end]), parse_vnet(self._buffer))

    def _remember(self, port: Port, key: MicroflowKey, megaflow: Megaflow) -> None:
        known = self._known[port.number]
        if len(known) >= MAX_MICROFLOWS:
            self._counters.add("microflows_forgotten", len(known))
            known.clear()
        path = self._paths.get(megaflow)
        if path is None:
            path = self._paths[megaflow] = _Path(megaflow, self._bind(megaflow.actions))
        known[key] = path

    def _bind(self, actions: Iterable[DatapathAction]) -> tuple[tuple[Port, Callable[[memoryview], int]], ...] | None:
        """The sockets of plain outputs, or None if there is more to do, or to count, than to send."""
        outputs = plain_outputs(actions)
        if outputs is None or not all(number in self._ports for number, _ in outputs):
            return None
        try:
            return tuple((port := self._ports[number], port.sender(queue).send) for number, queue in outputs)
        except OSError:
            return None  # ``output`` meets the same error and counts it

    # Where frames go (execute.Outlet)

    def execute(self, in_port: PortNo, frame: Frame, actions: Iterable[DatapathAction]) -> None:
        """As ``Datapath.execute``."""
        execute(in_port, frame, actions, self)

    def output(self, port: PortNo, queue: int | None, frame: Frame) -> None:
        """Send a frame (``execute.Outlet``)."""
        out = self._ports.get(port)
        if out is None:
            self._counters.add("output_no_port")
            return
        out.transmit(queue, frame, self._counters)

    def packet_in(self, in_port: PortNo, frame: Frame, action: ToController) -> None:
        """Hand a frame to the client for the controllers (``execute.Outlet``)."""
        self._counters.add("to_controller" if self.client else "upcall_no_client")
        if self.client:
            self.client.packet_in(in_port, frame, action)

    def meter(self, meter_id: int, frame: Frame) -> Frame | None:
        """Count a frame against a meter (``execute.Outlet``)."""
        return self._meters.pass_by(meter_id, frame)

    def _receive_failed(self, tap: Tap, error: OSError) -> None:
        """ENETDOWN: the interface went down or away; EINVAL: a frame whose offload no vnet header can tell."""
        if tap.socket.fileno() < 0:
            return  # its port was removed by an upcall of this round
        down = error.errno in RX_DOWN
        self._counters.add("rx_link_down" if down else "rx_refused")
        tap.port.counters.rx_errors += not down

    # Ports

    def add_port(self, port: PortNo, interface: str) -> None:
        """As ``Datapath.add_port``. A port that is there is opened again: its interface may have a new index."""
        old = self._ports.get(port)
        opened = self._open(port, interface, owned=old is not None and old.interface == interface)
        if old is not None:
            self._close_port(old)
            opened.counters, opened.lost, opened.unqueued = old.counters, old.lost, old.unqueued
            if old.interface != interface:
                self._ownership.release_port(old.interface)
        opened.control_pace = Pace(self._control_allowance)
        self._ports[port] = opened
        self._known[port] = {}
        for tap in opened.taps:
            self._taps[tap.socket.fileno()] = tap
            self._epoll_of(tap).register(tap.socket.fileno(), select.EPOLLIN)
        self._forget_paths()

    def _open(self, port: PortNo, interface: str, *, owned: bool) -> Port:
        """Take the interface from the host's stack, then open its sockets; one ``owned`` before stays so on failure."""
        try:
            self._ownership.own_port(interface)
        except UsageError as error:
            raise HostError(f"add port {port}", str(error), errno=errno.ENODEV) from error
        try:
            return open_port(port, interface, self._buffer, self._control_ports)
        except HostError:
            if not owned:
                self._ownership.release_port(interface)
            raise

    def _epoll_of(self, tap: Tap) -> select.epoll:
        return self._data if tap.queue in (Queue.DATA, Queue.TAGGED_DATA) else self._control

    def remove_port(self, port: PortNo) -> None:
        """As ``Datapath.remove_port``."""
        gone = self._ports.pop(port, None)
        if gone is None:
            return
        self._close_port(gone)
        for name, count in gone.losses().items():
            self._counters.add(name, count)
        del self._known[port]
        self._forget_paths()
        self._ownership.release_port(gone.interface)

    def _close_port(self, port: Port) -> None:
        port.collect_losses()
        for tap in port.taps:
            descriptor = tap.socket.fileno()
            self._epoll_of(tap).unregister(descriptor)
            del self._taps[descriptor]
        port.close()

    def port_counters(self, port: PortNo) -> PortCounters:
        """As ``Datapath.port_counters``."""
        found = self._ports.get(port)
        if found is None:
            return PortCounters()
        found.collect_losses()
        return replace(found.counters)

    def set_meter(self, meter_id: int, meter: MeterEntry | None) -> None:
        """As ``Datapath.set_meter``."""
        self._meters.put(meter_id, meter)

    def set_control_pace(self, per_s: int) -> None:
        """As ``Datapath.set_control_pace``."""
        self._control_allowance = CONTROL._replace(per_s=per_s)
        for port in self._ports.values():
            port.control_pace = Pace(self._control_allowance)

    def set_control_hints(self, hints: ControlHints) -> None:
        """As ``Datapath.set_control_hints``.

        In three steps, so that at each moment a frame matches at least one filter; for a few microseconds it may match
        two and be switched twice, which TCP expects of a network anyway.
        """
        before, after = self._control_ports, hints.ports
        if before == after:
            return
        self._control_ports = after
        for queue, ports in (
            (Queue.CONTROL, before | after),
            (Queue.DATA, after),
            (Queue.TAGGED_DATA, after),
            (Queue.CONTROL, after),
        ):
            for port in self._ports.values():
                try:
                    port.sort(queue, ports)
                except OSError:
                    self._counters.add("filter_refused")

    # Cache

    def install(self, megaflow: Megaflow, packet: FlowKey) -> None:
        """As ``Datapath.install``."""
        taken, replaced = self._classifier.install(megaflow)
        if not taken:
            self._counters.add("cache_full")
        if replaced is not None:
            self._forget_path(replaced)

    def remove(self, megaflows: Iterable[Megaflow]) -> None:
        """As ``Datapath.remove``."""
        for megaflow in self._classifier.remove(megaflows):
            self._forget_path(megaflow)

    def flush(self) -> None:
        """As ``Datapath.flush``."""
        self._classifier.flush()
        self._forget_paths()

    def refresh(self, megaflow: Megaflow) -> None:
        """As ``Datapath.refresh``: counts are as they are now at any time."""

    def megaflows(self) -> list[Megaflow]:
        """As ``Datapath.megaflows``."""
        return list(self._classifier)

    def count(self) -> Iterator[list[Megaflow]]:
        """As ``Datapath.count``."""
        return self._classifier.count()

    def _forget_path(self, megaflow: Megaflow) -> None:
        path = self._paths.pop(megaflow, None)
        if path is not None:
            path.live = False

    def _forget_paths(self) -> None:
        for known in self._known.values():
            known.clear()
        self._paths.clear()

    # The rest

    def counters(self) -> Mapping[str, int]:
        """As ``Datapath.counters``; "rx_queue_full_..." are frames that the kernel could not queue for us."""
        total = Counters(dict(self._counters.values))
        for port in self._ports.values():
            port.collect_losses()
            for name, count in port.losses().items():
                total.add(name, count)
        return total.values

    def close(self) -> None:
        """As ``Datapath.close``."""
        self.detach()
        for port in list(self._ports):
            self.remove_port(port)
        self._classifier.flush()
        self._control.close()
        self._data.close()
