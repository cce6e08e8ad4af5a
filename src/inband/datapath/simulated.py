"""A datapath without a kernel: ports are names, frames come by a call and leave by a call.

It is the reference for the others: everything happens at once, in order and in plain sight, so that what the
userspace and eBPF datapaths do can be compared with it packet by packet. Tests, the simulator and teaching use it.

Invariants: the same contract as in ``base``, with nothing skipped. Time comes from the clock that it is given.
Not here: faults and captures (``wrappers``), and queues, which a transmit function gets to know of but which
have no rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

from inband.datapath.base import ControlHints, Counters, DatapathClient, Megaflow, PortCounters
from inband.datapath.classifier import MAX_MEGAFLOWS, DatapathClassifier
from inband.datapath.execute import execute
from inband.datapath.metering import Meters
from inband.flow.actions import DatapathAction, ToController
from inband.flow.fields import FlowKey
from inband.flow.ports import PortNo
from inband.packet.frame import Frame
from inband.packet.parse import parse
from inband.table.meters import MeterEntry
from inband.vocabulary.instant import Instant

Transmit = Callable[[PortNo, Frame, int | None], None]
"""What carries a frame away: port, frame, queue (None: no particular one)."""
Wait = Callable[[Callable[[], None]], bool]
"""Has something done later; False if too much waits already."""


@lru_cache(maxsize=1024)
def _parse(data: bytes) -> int:
    """A frame's flow key, but for the port: in a simulation the same frame comes to many switches."""
    return parse(data, 0)


class SimulatedDatapath:
    """Ports in memory. Without a ``transmit`` function sent frames wait in ``take_sent``."""

    kind = "simulated"
    rules = None
    is_behind = False  # frames are delivered one by one

    def __init__(
        self,
        client: DatapathClient | None = None,
        *,
        clock: Callable[[], Instant],
        transmit: Transmit | None = None,
        max_megaflows: int = MAX_MEGAFLOWS,
        wait: Wait | None = None,
    ) -> None:
        """``client`` may be given later, by setting the attribute, but before the first frame is delivered.

        ``wait``: frames that no megaflow matches wait for their turn; None: they are decided about at once.
        """
        self.client = client
        self.hints = ControlHints()
        self._clock = clock
        self._transmit = transmit or self._keep
        self._wait = wait
        self._classifier = DatapathClassifier(max_megaflows)
        self._ports: dict[PortNo, str] = {}
        self._port_counters: dict[PortNo, PortCounters] = {}
        self._counters = Counters()
        self._meters = Meters(clock, self._counters)
        self._sent: list[tuple[PortNo, Frame, int | None]] = []

    # Frames

    def deliver(self, port: PortNo, frame: Frame) -> None:
        """A frame arrives at a port: run its megaflow's actions, or send it up."""
        counters = self._port_counters.get(port)
        if counters is None or self.client is None:
            self._counters.add("input_no_port" if counters is None else "upcall_no_client")
            return
        counters.rx_packets += frame.segments
        counters.rx_bytes += len(frame.data)
        key = FlowKey(_parse(frame.data) | port)
        megaflow = self._classifier.find(key)
        if megaflow is not None:
            self._counters.add("megaflow_hit")
            self._forward(megaflow, port, frame)
            return
        self._counters.add("miss")
        if self._wait is None:
            self.client.upcall(port, frame, key)
        elif not self._wait(lambda: self._decide(port, frame, key)):
            self._counters.add("rx_queue_full_control")

    def _decide(self, port: PortNo, frame: Frame, key: FlowKey) -> None:
        """Look at a frame that has waited: what came before it may have been cached meanwhile."""
        megaflow = self._classifier.find(key)
        if megaflow is not None:
            self._counters.add("late_hit")
            self._forward(megaflow, port, frame)
        elif self.client is not None:
            self.client.upcall(port, frame, key)

    def _forward(self, megaflow: Megaflow, port: PortNo, frame: Frame) -> None:
        megaflow.packets += frame.segments
        megaflow.bytes += len(frame.data)
        megaflow.used = self._clock()
        actions = megaflow.actions
        if not actions:
            self._counters.add("dropped_by_flow")
        self.execute(port, frame, actions)

    def execute(self, in_port: PortNo, frame: Frame, actions: Iterable[DatapathAction]) -> None:
        """As ``Datapath.execute``."""
        execute(in_port, frame, actions, self)

    def output(self, port: PortNo, queue: int | None, frame: Frame) -> None:
        """Send a frame (``execute.Outlet``)."""
        counters = self._port_counters.get(port)
        if counters is None:
            self._counters.add("output_no_port")
            return
        counters.tx_packets += frame.segments
        counters.tx_bytes += len(frame.data)
        self._transmit(port, frame, queue)

    def packet_in(self, in_port: PortNo, frame: Frame, action: ToController) -> None:
        """Hand a frame to the client for the controllers (``execute.Outlet``)."""
        if self.client is None:
            self._counters.add("upcall_no_client")
            return
        self._counters.add("to_controller")
        self.client.packet_in(in_port, frame, action)

    def meter(self, meter_id: int, frame: Frame) -> Frame | None:
        """Count a frame against a meter (``execute.Outlet``)."""
        return self._meters.pass_by(meter_id, frame)

    def take_sent(self) -> list[tuple[PortNo, Frame, int | None]]:
        """(port, frame, queue) of every frame sent since the last call, in order."""
        sent, self._sent = self._sent, []
        return sent

    def _keep(self, port: PortNo, frame: Frame, queue: int | None) -> None:
        self._sent.append((port, frame, queue))

    # Ports

    def add_port(self, port: PortNo, interface: str) -> None:
        """As ``Datapath.add_port``; any name is an interface here. A port that is there changes its interface."""
        self._ports[port] = interface
        self._port_counters.setdefault(port, PortCounters())

    def remove_port(self, port: PortNo) -> None:
        """As ``Datapath.remove_port``."""
        self._ports.pop(port, None)
        self._port_counters.pop(port, None)

    def ports(self) -> Mapping[PortNo, str]:
        """Interface names by port."""
        return dict(self._ports)

    def port_counters(self, port: PortNo) -> PortCounters:
        """As ``Datapath.port_counters``."""
        return replace(self._port_counters.get(port, PortCounters()))

    # Cache

    def install(self, megaflow: Megaflow, packet: FlowKey) -> None:
        """As ``Datapath.install``."""
        taken, _ = self._classifier.install(megaflow)
        if not taken:
            self._counters.add("cache_full")

    def remove(self, megaflows: Iterable[Megaflow]) -> None:
        """As ``Datapath.remove``."""
        self._classifier.remove(megaflows)

    def flush(self) -> None:
        """As ``Datapath.flush``."""
        self._classifier.flush()

    def refresh(self, megaflow: Megaflow) -> None:
        """As ``Datapath.refresh``: counts are as they are now at any time."""

    def megaflows(self) -> list[Megaflow]:
        """As ``Datapath.megaflows``."""
        return list(self._classifier)

    def count(self) -> Iterator[list[Megaflow]]:
        """As ``Datapath.count``."""
        return self._classifier.count()

    # The rest

    def set_meter(self, meter_id: int, meter: MeterEntry | None) -> None:
        """As ``Datapath.set_meter``."""
        self._meters.put(meter_id, meter)

    def set_control_hints(self, hints: ControlHints) -> None:
        """Kept in ``hints`` for a simulation of queues: frames are handled as they are delivered."""
        self.hints = hints

    def set_control_pace(self, per_s: int) -> None:
        """As ``Datapath.set_control_pace``: here frames have no pace."""

    def counters(self) -> Mapping[str, int]:
        """As ``Datapath.counters``."""
        return dict(self._counters.values)

    def close(self) -> None:
        """As ``Datapath.close``."""
        self._classifier.flush()
        self._ports.clear()
        self._port_counters.clear()
