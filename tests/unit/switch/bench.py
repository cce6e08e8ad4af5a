"""A bridge with a controller, protected and dialled, and everything around it in the test's hands."""

from __future__ import annotations

from ipaddress import ip_address

from inband.control import events as ev
from inband.datapath.simulated import SimulatedDatapath
from inband.openflow.reconnect import State
from inband.switch.config import BridgeConfig, FailMode
from inband.switch.connections import Environment
from inband.switch.managed_bridge import LocalInterface, ManagedBridge
from inband.switch.reports import Report
from inband.switch.targets import Target, parse_target
from inband.switch.turns import Turns
from inband.vocabulary.addresses import Mac
from lab.silent_host import SilentHost
from tests.unit.switch.fakes import HELLO, Clock, FakeNetwork, FakeTransport

MAC = Mac.parse("02:00:00:00:00:01")
LOCAL = LocalInterface(7, MAC, "br0-in")
ADDRESS = ip_address("192.0.2.1")
CONTROLLER = parse_target("tcp:192.0.2.1:6653")


OURS = {"br0", "eth1"}


def _nothing() -> None:
    """Wakes no one."""


class Bench:
    """A bridge with one controller, protected and dialled, and everything around it in the test's hands."""

    def __init__(self, *controllers: Target, fail_mode: FailMode = FailMode.SECURE, clock: Clock | None = None) -> None:
        self.clock, self.network, self.host = clock or Clock(), FakeNetwork(), SilentHost()
        self.reports: list[Report] = []
        self.turns_wanted = 0
        self.turns = Turns(self.clock, self._want_turns)
        self.config = BridgeConfig("br0", controllers=controllers or (CONTROLLER,), fail_mode=fail_mode)
        environment = Environment(
            self.clock,
            self.network,
            self.turns,
            self.reports.append,
            lambda: None,
            lambda: None,
            {"br0", "eth1"}.__contains__,
        )
        datapath = SimulatedDatapath(clock=self.clock)
        self.managed = ManagedBridge(self.config, LOCAL, datapath, self.host, environment)
        self.managed.open(LOCAL)
        self.protect(*controllers or (CONTROLLER,))
        self.managed.configure(self.config)

    def _want_turns(self) -> None:
        self.turns_wanted += 1

    def protect(self, *targets: Target) -> None:
        remotes = (ev.Remote(t.address, t.port, ev.RemoteKind.CONTROLLER) for t in targets if t.address is not None)
        for _ in self.managed.want(frozenset(remotes)):
            pass
        while self.managed.is_behind:
            self.managed.protect_more()

    @property
    def states(self) -> list[State]:
        return [connection.reconnect.state for connection in self.managed.connections.outgoing]

    def connect(self) -> FakeTransport:
        """The controller that was dialled last accepts."""
        self.network.dialled[-1].answer()
        return self.network.open_stream()

    def session(self) -> FakeTransport:
        """A controller that has said HELLO."""
        transport = self.connect()
        self.say(transport, HELLO)
        return transport

    def say(self, transport: FakeTransport, data: bytes) -> None:
        """A peer says something, and it is carried out."""
        transport.user.received(data)
        for _ in range(1000):
            self.turns.run()
        self.managed.send()

    def pass_time(self, seconds: float) -> None:
        """Do everything that is due, in order, as an owner does it."""
        end = self.clock.now + seconds
        while (due := self.managed.next_deadline()) is not None and due <= end:
            self.clock.now = max(self.clock.now, due)
            self.managed.run()
            self.managed.send()
        self.clock.now = end
