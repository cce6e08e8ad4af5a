"""The connection manager: whom it dials and when, who counts as a controller, what becomes of the rest."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from ipaddress import ip_address

import pytest

from inband.flow.flow import Flow
from inband.flow.match import ANY, Match
from inband.flow.priority import OpenFlowPriority
from inband.host.events import AddressChanged, LinkChanged, NeighbourChanged, NextHop, NextHopFound
from inband.openflow.messages import (
    BarrierReply,
    BarrierRequest,
    EchoReply,
    EchoRequest,
    FeaturesReply,
    FeaturesRequest,
    FlowMod,
    Message,
)
from inband.openflow.multipart import FlowStatsReply, FlowStatsRequest
from inband.openflow.reconnect import State
from inband.switch.listener import MAX_OPENING, MAX_SESSIONS_OF_ONE, Listener
from inband.switch.reports import (
    Connected,
    ConnectFailed,
    ConnectionLost,
    HandshakeFailed,
    ListensOnLoopback,
    NotAllowed,
    OpenToStrangers,
    TurnedAway,
)
from inband.switch.targets import parse_target
from inband.switch.transport import TcpProgress
from inband.vocabulary.addresses import Mac
from inband.vocabulary.openflow import OFP10, FlowModCommand
from tests.unit.switch.bench import ADDRESS, CONTROLLER, MAC, Bench
from tests.unit.switch.fakes import HELLO, Clock, FakeTransport, wire

GATEWAY_MAC = Mac.parse("02:00:00:00:00:fe")


def test_rules_for_a_controller_are_there_before_it_is_dialled() -> None:
    bench = Bench()
    letters = {flow.origin.letter for flow in bench.managed.bridge.in_band.flows if flow.origin}

    assert {"h", "i"} <= letters
    assert [each.address for each in bench.network.dialled] == [ADDRESS]


def test_a_controller_counts_from_its_hello_and_is_reported_with_its_address() -> None:
    bench = Bench()
    transport = bench.connect()

    assert not bench.managed.bridge.agent.has_controller
    bench.say(transport, HELLO + wire(FeaturesRequest()))

    assert bench.managed.bridge.agent.has_controller
    assert bench.reports == [Connected("br0", CONTROLLER, ADDRESS)]
    assert any(isinstance(message, FeaturesReply) for message in transport.said())


def test_a_controller_that_refuses_is_dialled_again_with_back_off_and_the_reason_is_kept() -> None:
    bench = Bench()

    for _ in range(4):
        bench.network.dialled[-1].refuse()
        bench.pass_time(1.0)

    (connection,) = bench.managed.connections.outgoing
    assert connection.reconnect.attempts == 5
    assert connection.reconnect.last_error == "Connection refused"
    assert connection.failures == {ADDRESS: "Connection refused"}
    assert connection.is_failing


def test_a_controller_that_never_answers_is_reported_after_seconds_and_not_each_time() -> None:
    bench = Bench()

    bench.pass_time(4.0)
    assert bench.reports == []
    bench.pass_time(56.0)

    (report,) = bench.reports
    assert isinstance(report, ConnectFailed)
    assert "no answer in" in str(report)
    while bench.network.dialled[-1].is_cancelled:
        bench.pass_time(0.5)
    bench.session()
    bench.pass_time(1.0)
    assert [type(each) for each in bench.reports] == [ConnectFailed, Connected]


def test_a_lost_controller_is_reported_with_the_reason_and_dialled_again() -> None:
    bench = Bench()
    transport = bench.session()
    bench.pass_time(2.0)

    transport.user.closed("Connection reset by peer")
    bench.pass_time(0.3)

    assert bench.reports[1:] == [ConnectionLost("br0", CONTROLLER, "Connection reset by peer")]
    assert len(bench.network.dialled) == 2
    assert not bench.managed.bridge.agent.has_controller


def test_a_stream_that_cannot_be_opened_is_a_failed_attempt() -> None:
    bench = Bench()
    bench.network.dialled[-1].answer()

    bench.network.opening.pop().closed("TLS: certificate unknown")

    assert bench.states == [State.BACKOFF]
    assert bench.managed.connections.outgoing[0].reconnect.last_error == "TLS: certificate unknown"
    assert bench.reports == []


def test_an_attempt_that_takes_too_long_is_given_up_and_its_late_answer_ignored() -> None:
    bench = Bench()
    first = bench.network.dialled[0]

    bench.pass_time(1.7)
    first.answer()

    assert first.is_cancelled
    assert bench.network.opening == []
    assert len(bench.network.dialled) == 3  # the second one beside the first


def test_a_handshake_that_takes_too_long_leaves_nothing_behind() -> None:
    bench = Bench()
    bench.network.dialled[0].answer()

    bench.pass_time(1.7)

    assert bench.network.dialled[0].is_cancelled
    assert len(bench.managed.connections) == 0


def test_a_silent_controller_is_probed_and_then_hung_up_on() -> None:
    bench = Bench()
    transport = bench.session()
    transport.said()

    bench.pass_time(5.1)
    assert transport.said() == [EchoRequest()]
    assert bench.states == [State.IDLE]
    bench.say(transport, wire(EchoReply()))
    assert bench.states == [State.ACTIVE]
    bench.pass_time(10.1)

    assert transport.is_closed


def test_what_tcp_has_to_send_again_makes_the_engine_doubt_the_next_hop() -> None:
    bench = Bench()
    transport = bench.session()
    transport.tcp = TcpProgress(1, 2)
    asked = len(bench.host.asked)

    bench.pass_time(0.3)

    assert bench.host.asked[asked:] == [ADDRESS]


def test_news_from_the_network_ends_the_wait_when_it_is_good() -> None:
    bench = Bench()
    for _ in range(5):
        bench.network.dialled[-1].refuse()
        bench.pass_time(0.5)
    bench.network.dialled[-1].refuse()
    dialled = len(bench.network.dialled)

    bench.host.say(bench.managed, LinkChanged(9, "eth0", MAC, up=True, running=False, mtu=1500))
    bench.pass_time(0.1)
    assert len(bench.network.dialled) == dialled
    bench.host.say(bench.managed, AddressChanged(7, ip_address("192.0.2.7"), 24, present=True))
    bench.pass_time(0.1)

    assert len(bench.network.dialled) == dialled + 1


def test_a_new_next_hop_ends_the_wait_and_the_same_one_again_does_not() -> None:
    bench = Bench()
    hop = NextHop(7, "br0", ADDRESS)
    bench.managed.host_event(NextHopFound(ADDRESS, hop))
    bench.host.say(bench.managed, NeighbourChanged(7, ADDRESS, GATEWAY_MAC))
    for _ in range(5):
        bench.network.dialled[-1].refuse()
        bench.pass_time(0.5)
    bench.network.dialled[-1].refuse()
    dialled = len(bench.network.dialled)

    bench.host.say(bench.managed, NeighbourChanged(7, ADDRESS, GATEWAY_MAC))
    bench.pass_time(0.1)
    assert len(bench.network.dialled) == dialled
    bench.host.say(bench.managed, NeighbourChanged(7, ADDRESS, MAC))
    bench.pass_time(0.1)

    assert len(bench.network.dialled) == dialled + 1


def test_a_controller_with_a_name_is_dialled_when_the_name_has_an_address() -> None:
    bench = Bench(parse_target("tcp:ctl.example"))
    assert bench.network.dialled == []

    bench.managed.connections.set_names({"ctl.example": (ADDRESS,)})
    assert [each.address for each in bench.network.dialled] == [ADDRESS]
    bench.network.dialled[-1].refuse()
    bench.managed.connections.set_names({"ctl.example": ()})
    bench.pass_time(10.0)

    assert len(bench.network.dialled) == 1
    assert bench.managed.connections.outgoing[0].reconnect.last_error == "no address of ctl.example is known"


def test_a_controller_that_stays_configured_is_not_touched_by_a_change_of_another() -> None:
    other = parse_target("tcp:192.0.2.2")
    bench = Bench()
    transport = bench.session()

    bench.protect(CONTROLLER, other)
    bench.managed.configure(replace(bench.config, controllers=(CONTROLLER, other)))
    bench.managed.configure(replace(bench.config, controllers=(CONTROLLER,)))

    assert not transport.is_aborted
    assert [each.is_cancelled for each in bench.network.dialled] == [False, True]


def test_a_controller_that_is_taken_away_is_hung_up_on_and_not_reported_as_lost() -> None:
    bench = Bench()
    transport = bench.session()

    bench.managed.configure(replace(bench.config, controllers=()))
    transport.user.closed("aborted")

    assert transport.is_aborted
    assert [type(report) for report in bench.reports] == [Connected]


def test_versions_that_are_not_allowed_any_more_end_their_sessions() -> None:
    bench = Bench()
    transport = bench.session()

    bench.managed.configure(replace(bench.config, openflow_versions=(OFP10,)))

    assert transport.is_aborted


def test_another_datapath_id_is_heard_of_by_connecting_anew() -> None:
    bench = Bench()
    transport = bench.session()

    bench.managed.configure(replace(bench.config, datapath_id=5))

    assert transport.is_aborted
    assert bench.managed.bridge.agent.switch.identity.datapath_id == 5


class Door:
    """A place where peers call."""

    def __init__(self, bench: Bench, target: str = "ptcp:6653:127.0.0.1") -> None:
        self.bench = bench
        self.listener: Listener = bench.managed.connections.add_listener(parse_target(target))

    def call(self, address: str = "198.51.100.1") -> FakeTransport | None:
        """A peer opens a stream; who has to go for it is hung up on."""
        channel, crowded_out = self.bench.managed.connections.accept(self.listener, ip_address(address))
        if crowded_out is not None:
            crowded_out.closed("it was given up")
        if channel is None:
            return None
        transport = FakeTransport(channel, f"{address}:4000")
        channel.opened(transport)
        return transport

    def session(self, address: str = "198.51.100.1") -> FakeTransport:
        """A peer that has said HELLO."""
        caller = self.call(address)
        assert caller is not None
        self.bench.say(caller, HELLO)
        return caller


def test_who_calls_is_answered_and_does_not_count_as_a_controller() -> None:
    bench = Bench()
    caller = Door(bench).call()
    assert caller is not None

    bench.say(caller, HELLO + wire(BarrierRequest()))

    assert BarrierReply() in caller.said()
    assert not bench.managed.bridge.agent.has_controller
    assert bench.reports == []


def test_one_address_has_half_of_the_places_for_sessions_and_another_one_still_gets_in() -> None:
    bench = Bench()
    door = Door(bench)
    callers = [door.session() for _ in range(MAX_SESSIONS_OF_ONE)]

    assert door.session().is_aborted
    assert not door.session("198.51.100.2").is_aborted
    assert TurnedAway in {type(report) for report in bench.reports}
    callers[0].user.closed("gone")
    assert not door.session().is_aborted
    assert bench.managed.connections.counters()["connections turned away"] == 1


def test_strangers_that_never_begin_a_session_keep_nobody_out() -> None:
    bench = Bench()
    door = Door(bench)
    strangers = [door.call() for _ in range(3 * MAX_OPENING)]

    assert not door.session("198.51.100.2").is_aborted
    assert len(bench.managed.connections) <= MAX_OPENING + 2
    assert all(stranger is not None for stranger in strangers)
    assert sum(isinstance(report, HandshakeFailed) for report in bench.reports) >= 2 * MAX_OPENING


def test_who_has_waited_longest_of_the_address_that_has_most_goes_first() -> None:
    bench = Bench()
    door = Door(bench)
    honest = door.call("198.51.100.2")
    for _ in range(2 * MAX_OPENING):
        door.call()

    assert honest is not None
    bench.say(honest, HELLO)
    assert bench.managed.connections.counters()["handshakes failed"] == MAX_OPENING + 1
    assert door.listener.has_sessions


def test_who_does_not_say_hello_in_five_seconds_is_hung_up_on_whatever_it_trickles() -> None:
    bench = Bench()
    caller = Door(bench).call()
    assert caller is not None

    for byte in HELLO[:9]:
        caller.user.received(bytes([byte]))
        bench.pass_time(0.6)

    assert caller.is_closed


def test_who_is_in_no_allowed_network_is_turned_away_and_named() -> None:
    bench = Bench()
    door = Door(bench, "ptcp:6653:0.0.0.0,allow=192.0.2.0/24")

    assert door.call("198.51.100.1") is None
    assert door.call("192.0.2.77") is not None
    assert bench.reports == [NotAllowed("br0", door.listener.target, "198.51.100.1")]


def test_a_place_that_is_open_to_strangers_is_said_to_be() -> None:
    bench = Bench()
    doors = [Door(bench, text) for text in ("ptcp:6653:0.0.0.0", "ptcp:6653", "ptcp:6653:127.0.0.1", "punix:/x")]

    assert bench.reports == [
        OpenToStrangers("br0", doors[0].listener.target),
        ListensOnLoopback("br0", doors[1].listener.target),
    ]


def test_a_stream_that_never_opened_gives_its_place_back() -> None:
    bench = Bench()
    door = Door(bench)

    for _ in range(3 * MAX_OPENING):
        channel, crowded_out = bench.managed.connections.accept(door.listener, ADDRESS)
        assert channel is not None
        assert crowded_out is None
        channel.closed("TLS: wrong version number")

    assert list(door.listener) == []
    assert len(bench.managed.connections) == 0
    assert str(bench.reports[-1]).endswith("no session with 192.0.2.1: TLS: wrong version number")


@pytest.mark.parametrize("flooders", [1, 16])
def test_a_controller_is_answered_after_two_slices_however_many_others_flood(flooders: int) -> None:
    bench = Bench()
    controller = bench.session()
    door = Door(bench)
    for _ in range(flooders):
        caller = door.call()
        assert caller is not None
        caller.user.received(HELLO + wire(BarrierRequest()) * 10_000)
    bench.turns.run()
    controller.said()

    controller.user.received(wire(EchoRequest(b"alive?")))
    bench.turns.run()
    bench.turns.run()

    assert EchoReply(b"alive?") in controller.said()


def test_a_place_that_is_given_up_hangs_up_on_its_callers() -> None:
    bench = Bench()
    door = Door(bench)
    caller = door.call()
    assert caller is not None

    bench.managed.connections.remove_listener(door.listener)

    assert caller.is_aborted


def test_the_end_of_a_bridge_hangs_up_on_everybody_and_takes_the_rules_out() -> None:
    bench = Bench()
    controller, caller = bench.session(), Door(bench).call()
    assert caller is not None

    steps = bench.managed.stop()
    next(steps)
    assert controller.is_aborted
    assert caller.is_aborted
    assert bench.managed.bridge.in_band.flows != []
    controller.user.closed("aborted")
    caller.user.closed("aborted")
    assert next(steps, "done") == "done"

    assert bench.managed.bridge.in_band.flows == []


def test_a_stream_that_opens_after_the_end_is_hung_up_on() -> None:
    bench = Bench()
    bench.network.dialled[-1].answer()
    late = bench.network.opening[-1]

    assert next(bench.managed.stop(), "done") == "done"
    transport = FakeTransport(late)
    late.opened(transport)
    late.received(HELLO)
    late.closed("aborted")

    assert transport.is_aborted
    assert not bench.managed.bridge.agent.has_controller


def with_flows(bench: Bench, count: int = 5000) -> None:
    """Many flows, from the controller."""
    tables = bench.managed.bridge.tables
    for number in range(count):
        tables.add(Flow(Match.of(eth_type=0x0800, ipv4_dst=number), OpenFlowPriority(9), ()), 0.0)


def test_what_waits_for_a_message_that_takes_long_goes_on_when_it_is_done() -> None:
    bench = Bench()
    with_flows(bench)
    controller, caller = bench.session(), Door(bench).session()
    add = FlowMod(FlowModCommand.ADD, Match.of(in_port=1), OpenFlowPriority(1))
    caller.said()
    controller.said()

    controller.user.received(wire(FlowMod(FlowModCommand.DELETE, ANY, table_id=0xFF)) + wire(BarrierRequest()))
    caller.user.received(wire(add) + wire(BarrierRequest()) + wire(EchoRequest(b"x")))
    bench.managed.connections.carry_out(controller.user, 0.0)  # type: ignore[arg-type]
    bench.managed.connections.carry_out(caller.user, 0.0)  # type: ignore[arg-type]

    assert bench.managed.bridge.is_busy
    assert caller.said() == [EchoReply(b"x")]
    assert not caller.is_reading
    for _ in range(1000):
        bench.turns.run()
    assert controller.said() == [BarrierReply()]
    assert caller.said() == [BarrierReply()]
    assert caller.is_reading
    assert [flow.match for flow in bench.managed.bridge.tables.select()] == [Match.of(in_port=1)]


class RunningClock(Clock):
    """Whatever is done between two looks at it takes a millisecond."""

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


def test_messages_that_take_long_end_a_turn_in_time_and_the_rest_of_them_wait() -> None:
    clock = RunningClock()
    bench = Bench(clock=clock)
    caller = Door(bench).session()
    caller.said()
    caller.user.received(wire(BarrierRequest()) * 100)

    bench.managed.connections.carry_out(caller.user, clock.now + 0.003)  # type: ignore[arg-type]

    assert 1 <= len(caller.said()) <= 3
    for _ in range(100):
        bench.turns.run()
    assert caller.said()[-1] == BarrierReply()


def test_a_dump_goes_on_as_its_peer_reads_and_what_it_asks_behind_waits() -> None:
    bench = Bench()
    with_flows(bench, 20_000)
    caller = Door(bench).session()
    caller.said()
    caller.user.set_writable(False)

    bench.say(caller, wire(FlowStatsRequest()) + wire(BarrierRequest()))
    assert caller.said() == []
    assert bench.managed.bridge.is_replying(next(iter(bench.managed.bridge.agent.switch.connections)))
    messages = list[Message]()
    for _ in range(100):
        caller.user.set_writable(True)
        for _ in range(100):
            bench.turns.run()
        messages += caller.said()

    assert isinstance(messages[-1], BarrierReply)
    replies = [message for message in messages if isinstance(message, FlowStatsReply)]
    assert sum(len(reply.entries) for reply in replies) == 20_000


def test_a_thousand_dumps_that_are_not_read_cost_no_more_than_one() -> None:
    bench = Bench()
    with_flows(bench, 2000)
    caller = Door(bench).session()
    caller.user.set_writable(False)
    tracemalloc.start()

    bench.say(caller, wire(FlowStatsRequest()) * 1000)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert used < 2 << 20
