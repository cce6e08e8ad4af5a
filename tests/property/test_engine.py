"""The engine against its obvious twin: what it installed is always what ``rules.wanted`` computes from nothing."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from hypothesis import given, settings
from hypothesis import strategies as st

from inband.control import events as ev
from inband.control.endpoints import Endpoint, Protocol
from inband.control.engine import Engine
from inband.control.rules import InBandRule, wanted
from inband.flow.actions import Instruction
from inband.host.events import NeighbourChanged, NextHop, NextHopFound, RoutesChanged
from inband.host.state import KernelState
from inband.vocabulary.addresses import Mac

REMOTES = [*(ip_address(f"192.0.2.{i}") for i in range(1, 4)), ip_address("2001:db8::1"), ip_address("fe80::9")]
HOPS = [ip_address("10.0.0.1"), ip_address("10.0.0.2"), ip_address("fe80::1"), *REMOTES[1:4]]
SERVERS = [ip_address("192.0.2.53"), ip_address("2001:db8::53"), ip_address("127.0.0.53"), *REMOTES[2:4]]
OWN = [ip_address("fe80::2"), ip_address("2001:db8::2"), ip_address("192.0.2.7"), ip_address("127.0.0.1")]
NETWORKS = [
    ip_network(each)
    for each in ("fe80::/64", "2001:db8::/64", "192.0.2.0/25", "10.0.0.0/8", "10.0.0.0/24", "127.0.0.0/8")
]
CALLERS = [ip_network(each) for each in ("192.0.2.0/24", "192.0.0.0/16", "0.0.0.0/0", "2001:db8::/48", "fe80::/10")]

ports = st.sampled_from([6633, 6653])
remotes = st.one_of(
    st.builds(ev.Remote, st.sampled_from(REMOTES), ports, st.sampled_from(list(ev.RemoteKind))),
    st.builds(
        ev.Remote,
        st.sampled_from(REMOTES),
        ports,
        st.just(ev.RemoteKind.MANAGER),
        st.sampled_from(list(Protocol)),
        calls=st.booleans(),
    ),
    st.builds(
        lambda network, port, protocol: ev.Remote(
            network.network_address, port, ev.RemoteKind.MANAGER, protocol, calls=True, length=network.prefixlen
        ),
        st.sampled_from(CALLERS),
        ports,
        st.sampled_from(list(Protocol)),
    ),
)
macs = st.none() | st.sampled_from([Mac(0), Mac(0x020000000001), Mac(0x020000000002)])
hops = st.none() | st.builds(NextHop, st.sampled_from([1, 2]), st.just("br0"), st.sampled_from(HOPS))
events = st.one_of(
    st.builds(ev.RemotesChanged, st.lists(remotes, max_size=3), st.lists(remotes, max_size=3)),
    st.builds(
        ev.NeighboursNeed,
        st.frozensets(
            st.builds(lambda address, port: Endpoint(address, port), st.sampled_from(REMOTES), ports), max_size=3
        ),
        st.frozensets(st.sampled_from([*HOPS, OWN[3]]), max_size=3),
        st.frozensets(st.sampled_from([Mac(0x02000000000D), Mac(0x02000000000E)])),
        st.frozensets(st.sampled_from(SERVERS), max_size=2),
    ),
    st.builds(ev.ServersChanged, st.frozensets(st.sampled_from(SERVERS), max_size=3)),
    st.builds(ev.InBandEnabled, st.booleans()),
    st.builds(ev.QueueChanged, st.sampled_from([None, 0, 7])),
    st.builds(ev.ControlVlanChanged, st.sampled_from([None, 10, 4094])),
    st.builds(ev.LocalMacChanged, macs),
    st.builds(ev.LocalAddressesChanged, st.frozensets(st.sampled_from(OWN))),
    st.builds(ev.NetworksChanged, st.frozensets(st.sampled_from(NETWORKS))),
    st.builds(ev.LocalAddressReady, st.sampled_from([4, 6])),
    st.builds(ev.ChannelSilent, st.sampled_from([*REMOTES, SERVERS[0]])),
    st.builds(ev.ChannelAlive, st.sampled_from(REMOTES)),
    st.builds(ev.PlaceLost, macs.filter(bool)),
    st.just(ev.TimePassed()),
    st.builds(NeighbourChanged, st.sampled_from([1, 2]), st.sampled_from(HOPS), macs),
    st.just(RoutesChanged(ip_network("192.0.2.0/25"))),
    st.builds(NextHopFound, st.sampled_from([*REMOTES, *SERVERS[:2], *(each[1] for each in CALLERS), *HOPS[:3]]), hops),
)
steps = st.lists(st.tuples(events, st.floats(0, 40)), max_size=40)


def note(kernel: KernelState, event: ev.Event) -> None:
    """Have the kernel's own events in its state before the engine hears of them, as the watcher does."""
    if isinstance(event, NeighbourChanged | RoutesChanged):
        kernel.note(event)


class Table:
    """What a table that obeys the commands holds, and which rules each command touched."""

    def __init__(self) -> None:
        self.flows: dict[InBandRule, tuple[Instruction, ...]] = {}
        self.touched: set[InBandRule] = set()

    def obey(self, commands: list[ev.Command]) -> None:
        """Carry out commands."""
        has_removed = False
        self.touched = set()
        for command in commands:
            match command:
                case ev.InstallRules():
                    assert not has_removed, "make before break"
                    self.flows.update(dict.fromkeys(command.rules, command.instructions))
                    self.touched.update(command.rules)
                case ev.RemoveRules():
                    for rule in command.rules:
                        del self.flows[rule]
                    has_removed = True
                    self.touched.update(command.rules)
                case _:
                    pass  # questions are not a table's business


@settings(max_examples=300, deadline=None)
@given(steps)
def test_the_installed_set_always_equals_the_set_computed_from_scratch(
    steps: list[tuple[ev.Event, float]],
) -> None:
    kernel, table, now = KernelState(), Table(), 0.0
    kernel.local_ports.add(1)
    engine = Engine(kernel, table.flows)

    for event, pause in steps:
        now += pause
        before = set(table.flows)
        note(kernel, event)
        table.obey(engine.handle(event, now))

        assert frozenset(table.flows) == engine.rules == wanted(engine.state)
        assert len({(rule.priority, rule.match) for rule in table.flows}) == len(table.flows), "one flow for two rules"
        assert all(instructions == engine.instructions for instructions in table.flows.values())
        if not isinstance(event, ev.QueueChanged):
            assert not (table.touched & before & set(table.flows)), "a rule in both sets was touched"


@settings(max_examples=100, deadline=None)
@given(steps)
def test_time_alone_brings_every_engine_to_rest_or_to_a_bounded_pace(steps: list[tuple[ev.Event, float]]) -> None:
    kernel, table, now = KernelState(), Table(), 0.0
    kernel.local_ports.add(1)
    engine = Engine(kernel, table.flows)
    for event, pause in steps:
        now += pause
        note(kernel, event)
        table.obey(engine.handle(event, now))

    wakes = 0
    start = now
    while (due := engine.next_deadline()) is not None and due < start + 100 and wakes < 3000:
        now = max(now, due)
        engine.handle(ev.TimePassed(), now)
        wakes += 1

    assert wakes < 1500
