"""One bridge of a simulated switch process: ``bridge.Bridge``, its datapath, its channels, one timer.

It does what the switch process does with sockets and clocks, in the same order: first the hidden flows, then the ports,
then the first dial; a resolved next hop, an address or a link that came up ends the wait before the next one. What the
kernel says comes by ``host_event``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from inband import __version__
from inband.agent.connection import Kind
from inband.agent.fail_mode import FailMode, FailModeCommand, FailModeConfig
from inband.agent.switch import Identity
from inband.bridge.bridge import Bridge, BridgeSettings
from inband.control import events as ev
from inband.datapath.simulated import SimulatedDatapath
from inband.errors import UsageError
from inband.flow.ports import LOCAL, PortNo
from inband.host.events import (
    AddressChanged,
    HostEvent,
    LinkChanged,
    NeighbourChanged,
    NextHopFound,
    RoutesChanged,
)
from inband.openflow.messages import Envelope, PacketIn
from inband.openflow.session import SessionConfig
from inband.packet.frame import Frame
from inband.sim.clock import Timer, VirtualClock
from inband.sim.dialler import Dialler
from inband.sim.host import Host, read_address
from inband.sim.kernel import Interface
from inband.sim.link import Nic
from inband.vocabulary.addresses import IpAddress, Mac
from inband.vocabulary.numbers import OPENFLOW_PORT

Target = tuple[IPv4Address, int]


@dataclass(frozen=True, slots=True)
class BridgeConfig:
    """What is configured of a bridge. Targets are written "10.0.0.100" or "10.0.0.100:6653"."""

    name: str = "br0"
    controllers: tuple[str, ...] = ()
    managers: tuple[str, ...] = ()
    is_secure: bool = True
    in_band: bool = True
    queue: int | None = None
    flow_limit: int | None = None
    probe_interval_s: float = 5.0

    def remotes(self) -> frozenset[ev.Remote]:
        """Who must always be reachable."""
        kinds = ((self.controllers, ev.RemoteKind.CONTROLLER), (self.managers, ev.RemoteKind.MANAGER))
        return frozenset(ev.Remote(*read_target(text), kind) for targets, kind in kinds for text in targets)


def read_target(text: str) -> Target:
    """Read "10.0.0.100" or "10.0.0.100:6653"; raises UsageError."""
    address, colon, port = text.partition(":")
    if colon and not port.isdecimal():
        raise UsageError(f"{text!r} is not a target: write 10.0.0.100 or 10.0.0.100:6653")
    return read_address(address), int(port) if colon else OPENFLOW_PORT


class BridgeRunner:
    """Runs one bridge from ``start`` to ``stop``. Also the user of its diallers (``sim.dialler.DiallerUser``)."""

    def __init__(
        self,
        config: BridgeConfig,
        datapath_id: int,
        host: Host,
        local: Interface,
        inner: Nic,
        ports: Mapping[PortNo, Nic],
    ) -> None:
        """``local`` is the kernel's end of the LOCAL port, ``inner`` the datapath's; ``ports`` may grow."""
        self.config = config
        self.fail_mode = FailMode()
        self.diallers: list[Dialler] = []
        self._clock: VirtualClock = host.clock
        self.datapath = SimulatedDatapath(clock=lambda: self._clock.now, transmit=self._transmit)
        identity = Identity(datapath_id, software=__version__, datapath=config.name)
        settings = BridgeSettings(config.name, identity, config.flow_limit)
        self.bridge = Bridge(settings, self.datapath, host.kernel, lambda: self._clock.now, self._wake)
        self._host = host
        self._local = local
        self._inner = inner
        self._ports = ports
        self._remotes: frozenset[ev.Remote] = frozenset()
        self._hops: dict[IpAddress, tuple[IpAddress, Mac] | None] = {}
        self._timer: Timer | None = None
        self._is_pumping = False
        self._last_number = 0

    # --- life ---------------------------------------------------------------------------------------------------

    def start(self, known: Iterable[HostEvent], remotes: frozenset[ev.Remote]) -> None:
        """Set everything up and dial; ``known`` is what the kernel said so far."""
        self.datapath.client = self.bridge
        self.datapath.add_port(LOCAL, self._inner.name)
        self._inner.receive = lambda frame: self.datapath.deliver(LOCAL, frame)
        self.bridge.add_port(LOCAL, self.config.name, self._local.mac)
        self.bridge.set_local(self._local.index, self._local.mac)
        self.bridge.control(ev.QueueChanged(self.config.queue))
        self.bridge.control(ev.InBandEnabled(self.config.in_band))
        for event in known:
            self.host_event(event)
        self.set_remotes(remotes)
        for number, nic in self._ports.items():
            self.add_port(number, nic)
        self.set_controllers(self.config.controllers)

    def stop(self) -> None:
        """The process is gone: no frame is answered and no timer runs any more."""
        for dialler in self.diallers:
            dialler.stop()
        self.diallers.clear()
        if self._timer is not None:
            self._timer.cancel()
        for nic in (self._inner, *self._ports.values()):
            nic.receive = _ignore
            nic.carrier_changed = _ignore_carrier
        self.datapath.close()

    def set_remotes(self, remotes: frozenset[ev.Remote]) -> None:
        """Protect these remotes from now on."""
        added, removed = remotes - self._remotes, self._remotes - remotes
        self._remotes = remotes
        if added or removed:
            self.bridge.control(ev.RemotesChanged(added, removed))

    def set_queue(self, queue: int | None) -> None:
        """Let control traffic use this queue."""
        self.bridge.control(ev.QueueChanged(queue))

    def set_controllers(self, controllers: Iterable[str]) -> None:
        """Dial these, hang up on others; protect them first (``set_remotes``)."""
        wanted = [read_target(text) for text in controllers]
        for dialler in [d for d in self.diallers if d.target not in wanted]:
            self.diallers.remove(dialler)
            dialler.stop()
        config = FailModeConfig(self.config.is_secure, bool(wanted), self.config.probe_interval_s)
        self._obey_fail_mode(self.fail_mode.configure(config, self._clock.now))
        there = {dialler.target for dialler in self.diallers}
        for target in wanted:
            if target not in there:
                self._dial(target)

    def _dial(self, target: Target) -> None:
        self._last_number += 1
        session = SessionConfig(probe_interval_s=self.config.probe_interval_s)
        dialler = Dialler(self._last_number, target, self, self._host.tcp, self._clock, session)
        self.diallers.append(dialler)
        dialler.start()

    # --- ports --------------------------------------------------------------------------------------------------

    def add_port(self, number: PortNo, nic: Nic) -> None:
        """A port of the machine that belongs to the bridge."""
        self.datapath.add_port(number, nic.name)
        self.bridge.add_port(number, nic.name, nic.mac, link_up=nic.has_carrier)
        nic.receive = lambda frame: self.datapath.deliver(number, frame)
        nic.carrier_changed = lambda is_up: self._carrier_changed(number, nic.mac, is_up)

    def _carrier_changed(self, number: PortNo, mac: Mac, is_up: bool) -> None:
        self.bridge.link_changed(number, link_up=is_up, mac=mac)
        if is_up:
            self._hurry()

    def _transmit(self, port: PortNo, frame: Frame, _queue: int | None) -> None:
        nic = self._inner if port == LOCAL else self._ports.get(port)
        if nic is not None:
            nic.transmit(frame)

    # --- the kernel's events ------------------------------------------------------------------------------------

    def host_event(self, event: HostEvent | NextHopFound) -> None:
        """Pass on what the kernel said, and dial again when it is good news."""
        self.bridge.host_event(event)
        match event:
            case AddressChanged(present=True, tentative=False) | LinkChanged(running=True):
                self._hurry()
            case NeighbourChanged() | NextHopFound() | RoutesChanged():
                self._hurry_where_the_way_is_new()
            case _:
                pass

    def _hurry_where_the_way_is_new(self) -> None:
        for dialler in self.diallers:
            if dialler.is_connected:
                continue
            address = dialler.target[0]
            hop = self.bridge.in_band.engine.next_hop_of(address)
            if hop is not None and hop != self._hops.get(address):
                dialler.network_changed()
            self._hops[address] = hop

    def _hurry(self) -> None:
        for dialler in self.diallers:
            dialler.network_changed()

    # --- channels (DiallerUser) ---------------------------------------------------------------------------------

    def negotiated(self, dialler: Dialler, version: int) -> None:
        """A version was agreed on."""
        self.bridge.connect(dialler.number, Kind.CONTROLLER, version)
        self._obey_fail_mode(self.fail_mode.set_connected(True, self._clock.now))

    def received(self, dialler: Dialler, envelopes: list[Envelope]) -> None:
        """Messages to carry out."""
        self.bridge.receive(dialler.number, envelopes)
        self._send()

    def silent(self, dialler: Dialler, *, is_silent: bool) -> None:
        """TCP has to send again: the next hop is doubted at once."""
        address = dialler.target[0]
        self.bridge.control(ev.ChannelSilent(address) if is_silent else ev.ChannelAlive(address))

    def closed(self, dialler: Dialler) -> None:
        """A connection is over."""
        self.bridge.disconnect(dialler.number)
        self._obey_fail_mode(self.fail_mode.set_connected(self.bridge.agent.has_controller, self._clock.now))

    def _obey_fail_mode(self, commands: list[FailModeCommand]) -> None:
        for command in commands:
            match command:
                case FailModeCommand.ENTER_STANDALONE:
                    self.bridge.set_standalone(active=True)
                case FailModeCommand.LEAVE_STANDALONE:
                    self.bridge.set_standalone(active=False)
                case FailModeCommand.ADD_DEFAULT_FLOW:
                    self.bridge.set_default_flow(active=True)
                case FailModeCommand.REMOVE_DEFAULT_FLOW:
                    self.bridge.set_default_flow(active=False)
        self._wake()

    # --- output and time ----------------------------------------------------------------------------------------

    def _wake(self) -> None:
        if not self._is_pumping:
            self._is_pumping = True
            self._clock.call_soon(self._pump)

    def _pump(self) -> None:
        self._is_pumping = False
        self._send()
        self._plan()

    def _send(self) -> None:
        channels = {dialler.number: dialler for dialler in self.diallers}
        for number, envelopes in self.bridge.take():
            dialler = channels.get(number)
            if dialler is None:
                continue
            for envelope in envelopes:
                dialler.send(envelope, is_droppable=isinstance(envelope.message, PacketIn))
            dialler.flush()

    def _plan(self) -> None:
        deadlines = (self.bridge.next_deadline(), self.fail_mode.next_deadline())
        due = min((d for d in deadlines if d is not None), default=None)
        if self._timer is not None:
            if self._timer.due == due:
                return
            self._timer.cancel()
        self._timer = None if due is None else self._clock.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.bridge.run()
        self._obey_fail_mode(self.fail_mode.run(self._clock.now))


def _ignore(_: Frame) -> None:
    """Frames to a process that is not there."""


def _ignore_carrier(_: bool) -> None:
    """Nobody wants to know."""
