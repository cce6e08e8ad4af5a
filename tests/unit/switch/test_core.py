"""All bridges of a switch together: what they protect, whom it asks for names, and who hears first of the kernel."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from ipaddress import ip_address
from typing import TypeVar

from inband.control.events import Remote, RemoteKind
from inband.control.name_events import Ask
from inband.datapath.simulated import SimulatedDatapath
from inband.host.events import RoutesChanged
from inband.switch.config import BridgeConfig, SwitchConfig
from inband.switch.connections import Environment
from inband.switch.core import TARGETS_AT_ONCE, SwitchCore, remotes_in_steps
from inband.switch.managed_bridge import ManagedBridge
from inband.switch.manager_targets import parse_manager
from inband.switch.names import MAX_SERVERS, ServerList
from inband.switch.reports import Report
from inband.switch.targets import parse_target
from inband.switch.turns import Turns
from lab.silent_host import SilentHost
from tests.unit.switch.bench import LOCAL
from tests.unit.switch.fakes import Clock, FakeNetwork

SYSTEM = ServerList((ip_address("192.0.2.53"),), "the system")
NAMED = BridgeConfig("br0", controllers=(parse_target("tcp:ctl.example"),))


class FakeDns:
    """Notes with each question how many routes had been looked up by then."""

    def __init__(self, host: SilentHost) -> None:
        self.looked_up: list[int] = []
        self._host = host

    def ask(self, ask: Ask) -> None:
        self.looked_up.append(len(self._host.asked))

    def forget(self, ticket: int) -> None:
        """Nothing comes back."""

    def close(self) -> None:
        """Nothing is open."""


class Rig:
    """A core with one bridge that dials a name."""

    def __init__(self, *servers: str) -> None:
        self.clock, self.host = Clock(), SilentHost()
        self.dns = FakeDns(self.host)
        self.reports: list[Report] = []
        self.core = SwitchCore(
            self.clock,
            lambda bits: 0,
            self.dns,
            find_servers=lambda: SYSTEM,
            addresses_changed=lambda: None,
            remember=lambda known: None,
            report=self.reports.append,
            wake=lambda: None,
        )
        config = SwitchConfig(bridges=(NAMED,), dns_servers=tuple(map(ip_address, servers)))
        turns = Turns(self.clock, lambda: None)
        environment = Environment(
            self.clock,
            FakeNetwork(),
            turns,
            self.reports.append,
            lambda: None,
            self.core.channels_changed,
            self.core.is_own_interface,
        )
        datapath = SimulatedDatapath(clock=self.clock)
        self.managed = ManagedBridge(NAMED, LOCAL, datapath, self.host, environment)
        for _ in self.core.begin(config, {}):
            pass
        self.managed.open(LOCAL)
        for _ in self.core.add(self.managed):
            pass
        self.managed.configure(NAMED)
        for _ in self.core.finish(config):
            pass


def test_the_owner_says_whom_to_ask_when_no_server_is_configured() -> None:
    assert Rig().core.names.server_list == SYSTEM


def test_configured_servers_are_all_there_are_and_no_more_are_asked_than_is_sensible() -> None:
    many = [f"10.0.0.{number}" for number in range(1, 2 + MAX_SERVERS)]

    found = Rig(*many).core.names.server_list

    assert found == ServerList(tuple(map(ip_address, many[:MAX_SERVERS])), "the configuration")


def test_a_question_for_a_name_comes_after_what_bridges_make_of_the_kernels_news() -> None:
    rig = Rig("10.0.0.53")
    rig.clock.now = 1.0
    looked_up = len(rig.host.asked)

    rig.core.host_event(RoutesChanged(None))

    assert len(rig.host.asked) > looked_up
    assert rig.dns.looked_up[-1] == len(rig.host.asked)


# What all bridges protect -----------------------------------------------------------------------------------------

T = TypeVar("T")


def count_steps(steps: Generator[None, None, T]) -> tuple[int, T]:
    """How many steps there are, and what they come to."""
    count = 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: T = end.value
            return count, found
        count += 1


def test_remotes_are_controllers_and_managers_that_are_dialled_in_band_with_the_addresses_of_names() -> None:
    managers = ("tcp:10.0.0.1:6640", "tcp:10.0.0.2,out-of-band")
    controllers = ("tcp:10.0.0.1:6653", "tcp:controller.example", "tcp:other.example")
    bridge = BridgeConfig("br0", controllers=tuple(map(parse_target, controllers)))
    config = SwitchConfig(managers=tuple(map(parse_manager, managers)), bridges=(bridge,))

    _, remotes = count_steps(remotes_in_steps(config, {"controller.example": (ip_address("10.0.0.3"),)}))

    assert remotes == {
        Remote(ip_address("10.0.0.1"), 6640, RemoteKind.MANAGER),
        Remote(ip_address("10.0.0.1"), 6653, RemoteKind.CONTROLLER),
        Remote(ip_address("10.0.0.3"), 6653, RemoteKind.CONTROLLER),
    }


def test_very_many_remotes_are_looked_through_in_steps() -> None:
    managers = tuple(parse_manager(f"tcp:10.0.{n // 250}.{n % 250 + 1}:6640") for n in range(10_000))

    steps, remotes = count_steps(remotes_in_steps(SwitchConfig(managers=managers), {}))

    assert len(remotes) == 10_000
    assert steps == 10_000 // TARGETS_AT_ONCE


MANAGERS = tuple(parse_manager(f"tcp:10.0.1.{number}:6640") for number in range(1, 101))
OTHER_MANAGERS = tuple(parse_manager(f"tcp:10.0.2.{number}:6640") for number in range(1, 101))
ADDRESS = BridgeConfig("br0", controllers=(parse_target("tcp:10.0.0.3"),))


def exhaust(steps: Iterator[None]) -> None:
    """Take all steps."""
    for _ in steps:
        pass


def go_to(core: SwitchCore, config: SwitchConfig) -> None:
    """A change, but for the rules of managers."""
    exhaust(core.begin(config, {}))
    exhaust(core.finish(config))


def protected(config: SwitchConfig) -> frozenset[Remote]:
    """What a configuration protects."""
    return count_steps(remotes_in_steps(config, {}))[1]


def test_a_change_is_done_before_thousands_of_managers_have_their_rules() -> None:
    rig, config = Rig(), SwitchConfig(managers=MANAGERS, bridges=(ADDRESS,))

    go_to(rig.core, config)

    assert protected(SwitchConfig(bridges=(ADDRESS,))) < rig.managed.remotes < protected(config)
    exhaust(rig.core.protect())
    assert rig.managed.remotes == protected(config)


def test_what_is_wanted_may_change_while_managers_get_their_rules() -> None:
    rig, config = Rig(), SwitchConfig(managers=OTHER_MANAGERS, bridges=(ADDRESS,))
    go_to(rig.core, SwitchConfig(managers=MANAGERS, bridges=(NAMED,)))
    protecting = rig.core.protect()
    for _ in range(3):
        next(protecting)

    go_to(rig.core, config)

    assert protected(SwitchConfig(bridges=(ADDRESS,))) < rig.managed.remotes
    exhaust(protecting)
    assert rig.managed.remotes == protected(config)
