"""Verbs that ovs-appctl users know: answers in Open vSwitch's format, refusals in words."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from types import SimpleNamespace
from typing import cast

import pytest

from inband.bridge.bridge import Bridge
from inband.control import events as ev
from inband.datapath.base import Megaflow, QueueState
from inband.errors import UsageError
from inband.flow.actions import (
    ApplyActions,
    Clone,
    DatapathAction,
    DecNwTtl,
    Output,
    PacketInReason,
    PopMpls,
    PopQueue,
    PopVlan,
    PushMpls,
    PushVlan,
    SetField,
    SetNwTtl,
    SetQueue,
    ToController,
)
from inband.flow.ports import LOCAL, NORMAL, PortNo
from inband.flow.priority import OpenFlowPriority
from inband.flow.text import parse_actions, parse_match
from inband.openflow.messages import FlowMod
from inband.pipeline.translation import Translation
from inband.runtime.appctl.documents import megaflow_line
from inband.runtime.appctl.odp import datapath_port, format_odp_actions, format_odp_match
from inband.runtime.appctl.verbs import add_verbs
from inband.runtime.process_view import Process
from inband.runtime.unixctl import Registry
from inband.switch.config import BridgeConfig, InternalPort, PatchPort
from inband.testing import packets
from inband.vocabulary.openflow import FlowModCommand
from tests.unit.bridge.test_groups import Stage

CONTROLLER = ev.Remote(ip_address("192.0.2.1"), 6653, ev.RemoteKind.CONTROLLER)


@dataclass
class Connections:
    """Notes that it was told to hang up."""

    hung_up: int = 0

    def hang_up(self) -> None:
        self.hung_up += 1


@dataclass
class Runner:
    """One bridge that runs."""

    bridge: Bridge
    connections: Connections = field(default_factory=Connections)
    config: BridgeConfig = field(default_factory=lambda: BridgeConfig("br0"))

    @property
    def now(self) -> float:
        return self.bridge.now


@dataclass
class Switch:
    """A process with one bridge, and its control socket's verbs."""

    stage: Stage = field(default_factory=Stage)
    ended: str = ""

    def __post_init__(self) -> None:
        self.bridges = {"br0": Runner(self.stage.bridge)}
        self.core = SimpleNamespace(names=SimpleNamespace(names=list))
        self.now = self.stage.bridge.now
        self._registry = Registry()
        add_verbs(self._registry, cast(Process, self))

    def end(self, reason: str) -> None:
        self.ended = reason

    def call(self, verb: str, *arguments: str) -> str:
        return asyncio.run(self._registry.call(verb, arguments))

    def normal(self) -> None:
        """Have everything switched by NORMAL."""
        self.stage.flow(ApplyActions((Output(NORMAL),)))


@pytest.fixture
def switch() -> Switch:
    return Switch()


def test_a_trace_has_the_frame_that_scripts_look_for(switch: Switch) -> None:
    switch.stage.say(
        FlowMod(
            FlowModCommand.ADD,
            priority=OpenFlowPriority(7),
            cookie=0x77,
            match=parse_match("tcp,tp_dst=80"),
            instructions=(ApplyActions((SetField("ip_ttl", 3), Output(PortNo(2)))),),
        )
    )

    assert switch.call("ofproto/trace", "br0", "in_port=p1,tcp,nw_ttl=64,tp_dst=80").splitlines() == [
        "Flow: tcp,in_port=1,vlan_tci=0x0000,dl_src=00:00:00:00:00:00,dl_dst=00:00:00:00:00:00,nw_src=0.0.0.0,"
        "nw_dst=0.0.0.0,nw_tos=0,nw_ecn=0,nw_ttl=64,nw_frag=no,tp_src=0,tp_dst=80,tcp_flags=0",
        "",
        'bridge("br0")',
        "-------------",
        " 0. tcp,tp_dst=80, priority 7, cookie 0x77",
        "    load:0x3->NXM_NX_IP_TTL[]",
        "    output:2",
        "",
        "Final flow: tcp,in_port=1,vlan_tci=0x0000,dl_src=00:00:00:00:00:00,dl_dst=00:00:00:00:00:00,nw_src=0.0.0.0,"
        "nw_dst=0.0.0.0,nw_tos=0,nw_ecn=0,nw_ttl=3,nw_frag=no,tp_src=0,tp_dst=80,tcp_flags=0",
        "Megaflow: recirc_id=0,eth,tcp,in_port=1,nw_frag=no,tp_dst=80",
        "Datapath actions: set(ipv4(ttl=3)),2",
    ]


def test_a_trace_names_an_in_band_rule_and_indents_what_the_packet_comes_back_from(switch: Switch) -> None:
    switch.stage.bridge.control(ev.RemotesChanged(added=[CONTROLLER]))
    back = parse_actions("resubmit(,4),output:2", {})
    switch.stage.say(FlowMod(FlowModCommand.ADD, match=parse_match("udp"), instructions=back))

    controlled = switch.call("ofproto/trace", "br0", "in_port=LOCAL,tcp,nw_dst=192.0.2.1,tp_dst=6653")
    nested = switch.call("ofproto/trace", "br0", "udp,in_port=1").splitlines()

    assert "     -> in-band rule (h) for 192.0.2.1:6653" in controlled
    assert [line for line in nested if line.startswith(" ")] == [
        " 0. udp, priority 32768",
        "    resubmit(,4)",
        "     4. No match.",
        "    output:2",
    ]


def test_a_trace_says_first_that_no_rule_applies(switch: Switch) -> None:
    bridge = switch.stage.bridge
    bridge.control(ev.InBandEnabled(True))
    bridge.control(ev.RemotesChanged(added=[CONTROLLER]))
    places = bridge.pipeline.places
    places.own = {(4, int(ip_address("192.0.2.1")))}

    said = switch.call("ofproto/trace", "br0", "in_port=1,arp,arp_op=2,arp_spa=192.0.2.1").splitlines()

    assert said[4:6] == ["     -> no rule applies: this address is LOCAL's own", " 0. No match."]


def test_a_trace_of_bytes_comes_in_where_the_flow_says(switch: Switch) -> None:
    switch.normal()

    said = switch.call("ofproto/trace", "br0", "in_port=2", packets.tcp().hex())

    assert said.startswith("Flow: tcp,in_port=2,")
    assert "Datapath actions: " in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("br9", "tcp"), "br9: unknown bridge"),
        (("br0", "tcp", "-generate"), "-generate would send, learn and count"),
        (("br0", "tcp", "--ct-next", "trk"), "no option --ct-next"),
        (("br0", "tcp", "00", "00"), "as one argument"),
        (("br0", "nonsense=1"), "unknown field 'nonsense'"),
        (("br0", "tcp,in_port=p9"), "p9"),
        (("br0", "tcp,in_port=77"), "there is no port 77"),
        (("br0", "in_port=1", "zz"), "hexadecimal"),
        (("recirc_id(0),in_port(1)", "x"), "unknown bridge"),
    ],
)
def test_what_cannot_be_traced_is_refused_in_words(switch: Switch, arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        switch.call("ofproto/trace", *arguments)


def test_datapaths_are_shown_with_their_ports_and_lookups(switch: Switch) -> None:
    switch.normal()
    for _ in range(3):
        switch.stage.sent()

    assert switch.call("dpif/show").splitlines() == [
        "simulated@br0: hit:2 missed:1",
        "  br0:",
        "    pLOCAL 65534/0: (internal)",
        "    p1 1/1: (system)",
        "    p2 2/2: (system)",
        "    p3 3/3: (system)",
    ]
    assert switch.call("dpctl/show", "-s", "simulated@br0").splitlines()[:4] == [
        "simulated@br0:",
        "  lookups: hit:2 missed:1 lost:0",
        "  flows: 1",
        "  port 0: pLOCAL (internal)",
    ]
    assert "    RX packets:3 errors:0 dropped:0 overruns:0 frame:0" in switch.call("dpctl/show", "-s")
    assert switch.call("dpctl/dump-dps") == switch.call("dpif/dump-dps") == "simulated@br0\n"
    assert switch.call("upcall/show").splitlines()[1] == "  flows         : (current 1) (limit 100000)"
    assert re.fullmatch(r"ports:4 rules:\d+ udpif keys:1\n", switch.call("memory/show"))


def test_ports_whose_interface_the_switch_makes_say_what_it_is(switch: Switch) -> None:
    made = (("p1", InternalPort()), ("p2", PatchPort("peer2")), ("p3", PatchPort(None)))
    switch.bridges["br0"].config = BridgeConfig("br0", made_ports=made)

    assert switch.call("dpif/show").splitlines()[3:] == [
        "    p1 1/1: (internal)",
        "    p2 2/2: (patch: peer=peer2)",
        "    p3 3/3: (patch)",
    ]


def test_cached_decisions_are_dumped_with_numbers_names_or_identity(switch: Switch) -> None:
    switch.normal()
    switch.stage.sent()
    switch.stage.sent()

    (plain,) = switch.call("dpif/dump-flows", "br0").splitlines()
    (named,) = switch.call("dpctl/dump-flows", "--names").splitlines()
    (more,) = switch.call("dpctl/dump-flows", "-m", "br0").splitlines()

    assert re.fullmatch(
        r"recirc_id\(0\),in_port\(1\),eth\(src=[0-9a-f:]+,dst=[0-9a-f:]+\),eth_type\(0x0800\),ipv4\(proto=6\), "
        r"packets:1, bytes:\d+, used:\d\.\d{3}s, actions:2,3,0",
        plain,
    ), plain
    assert "in_port(p1)" in named
    assert named.endswith("actions:p2,p3,pLOCAL")
    assert re.match(r"ufid:[0-9a-f]{8}-[0-9a-f-]{27}, recirc_id\(0\),in_port\(p1\)", more)


@pytest.mark.parametrize(
    ("match", "odp"),
    [
        ("", "recirc_id(0)"),
        ("in_port=LOCAL", "recirc_id(0),in_port(0)"),
        ("dl_vlan=5,dl_vlan_pcp=2,dl_type=0x1234", "eth_type(0x8100),vlan(vid=5,pcp=2),encap(eth_type(0x1234))"),
        (
            "arp,arp_op=1,arp_spa=10.0.0.1,arp_tpa=10.0.0.0/24",
            "eth_type(0x0806),arp(sip=10.0.0.1,tip=10.0.0.0/24,op=1)",
        ),
        (
            "tcp,nw_tos=8,nw_ttl=3,tp_dst=80,tcp_flags=+syn",
            "ipv4(proto=6,tos=0x8/0xfc,ttl=3),tcp(dst=80),tcp_flags(+syn)",
        ),
        ("icmp,icmp_type=8,nw_frag=later", "ipv4(proto=1,frag=later),icmp(type=8)"),
        ("icmp6,icmp_type=135,nd_target=::2", "ipv6(proto=58),icmpv6(type=135),nd(target=::2)"),
        ("udp6,ipv6_label=0x5,tp_src=53", "ipv6(label=0x00005,proto=17),udp(src=53)"),
        ("mpls,mpls_label=5,mpls_bos=1", "eth_type(0x8847),mpls(label=5,bos=1)"),
    ],
)
def test_a_match_is_written_as_the_datapath_tools_write_it(match: str, odp: str) -> None:
    assert format_odp_match(parse_match(match), str_of).endswith(odp)


@pytest.mark.parametrize(
    ("actions", "odp"),
    [
        ((), "drop"),
        ((Output(LOCAL), Output(PortNo(7))), "0,7"),
        (
            (PushVlan(0x8100), SetField("vlan_vid", 0x1005), Output(PortNo(2))),
            "push_vlan(tpid=0x8100,vid=0,pcp=0),set(vlan(vid=5)),2",
        ),
        (
            (PopVlan(), SetQueue(1), Output(PortNo(2)), PopQueue()),
            "pop_vlan,set(skb_priority(0x10002)),2,set(skb_priority(0))",
        ),
        (
            (SetField("eth_src", 1), SetField("tcp_dst", 80), SetNwTtl(9)),
            "set(eth(src=00:00:00:00:00:01)),set(tcp(dst=80)),set(ipv4(ttl=9))",
        ),
        (
            (PushMpls(0x8847), PopMpls(0x800), DecNwTtl()),
            "push_mpls(eth_type=0x8847),pop_mpls(eth_type=0x0800),dec_ttl",
        ),
        (
            (Clone((Output(PortNo(1)),)), ToController(PacketInReason.ACTION, 128, 0, 0)),
            "clone(1),userspace(pid=0,controller(reason=1,max_len=128))",
        ),
    ],
)
def test_actions_are_written_as_the_datapath_tools_write_them(actions: tuple[DatapathAction, ...], odp: str) -> None:
    assert format_odp_actions(actions, str_of) == odp


def str_of(port: PortNo) -> str:
    return str(datapath_port(port))


def test_a_decision_that_no_packet_used_was_never_used() -> None:
    stage = Stage()

    line = megaflow_line(stage.bridge, Megaflow(parse_match("ip"), Translation((), 0)), 5.0, names=False, more=False)

    assert line == "recirc_id(0),eth_type(0x0800), packets:0, bytes:0, used:never, actions:drop"


def test_learned_addresses_are_counted_and_flushed(switch: Switch) -> None:
    switch.normal()
    switch.stage.sent()

    before = switch.call("fdb/stats-show", "br0").splitlines()

    assert before[:3] == [
        'Statistics for bridge "br0":',
        "  Current/maximum MAC entries in the table: 1/8192",
        "  Current static MAC entries in the table : 0",
    ]
    assert "  Total number of learned MAC entries     : 1" in before
    assert switch.call("fdb/flush", "br0") == "table successfully flushed\n"
    assert switch.call("fdb/show", "br0").count("\n") == 1
    assert switch.call("dpif/dump-flows", "br0") == ""
    assert switch.call("fdb/stats-clear") == "statistics successfully cleared\n"
    assert "learned MAC entries     : 0" in switch.call("fdb/stats-show", "br0")


def test_queues_are_shown_and_a_port_without_has_none(switch: Switch) -> None:
    found = [QueueState(0, 1000, 5000, 1, 2, 3), QueueState(1, 0, 9000)]
    switch.stage.bridge.read_queues = lambda interface: found if interface == "p2" else ()

    assert switch.call("qos/show", "p1") == "QoS not configured on p1\n"
    assert switch.call("qos/show", "p2").splitlines() == [
        "QoS: p2 linux-htb",
        "max-rate: 9000",
        "",
        "Default:",
        "  min-rate: 1000",
        "  max-rate: 5000",
        "  tx_packets: 1",
        "  tx_bytes: 2",
        "  tx_errors: 3",
        "",
        "Queue 1:",
        "  min-rate: 0",
        "  max-rate: 9000",
        "  tx_packets: 0",
        "  tx_bytes: 0",
        "  tx_errors: 0",
    ]


def test_controllers_are_told_to_connect_anew(switch: Switch) -> None:
    switch.call("bridge/reconnect")
    switch.call("bridge/reconnect", "br0")

    assert switch.bridges["br0"].connections.hung_up == 2


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (("bridge/reconnect", "br9"), "Unknown bridge"),
        (("fdb/flush", "br9"), "no such bridge"),
        (("fdb/show", "br9"), "no such bridge"),
        (("qos/show", "eth9"), "no such interface"),
        (("rstp/show", "br0"), "No such RSTP object"),
        (("bond/show", "bond0"), "no such bond"),
        (("dpctl/dump-flows", "filter=tcp"), "no filters"),
        (("dpctl/dump-flows", "--wrong"), "no option --wrong"),
        (("dpif/dump-flows", "-m"), "name of one bridge"),
        (("dpctl/show", "netdev@br9"), "no such bridge"),
        (("bridge/dump-flows", "--offload-stats", "br0"), "no flow is offloaded"),
        (("exit", "now"), "only --cleanup"),
    ],
)
def test_what_there_is_not_is_refused_in_words(switch: Switch, call: tuple[str, ...], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        switch.call(*call)


def test_what_no_bridge_has_is_an_empty_list(switch: Switch) -> None:
    assert [switch.call(verb) for verb in ("rstp/show", "bond/show", "revalidator/wait")] == ["", "", ""]
    assert switch.call("bond/list") == "bond\ttype\trecircID\tmembers\n"
    assert switch.call("ofproto/list") == "br0\n"


def test_exit_ends_the_process(switch: Switch) -> None:
    switch.call("exit", "--cleanup")

    assert switch.ended == "the command exit"


def test_levels_are_listed_by_module(switch: Switch) -> None:
    lines = switch.call("vlog/list").splitlines()

    assert lines[0].split() == ["console", "syslog", "file"]
    assert any(line.split()[0] == "runtime.unixctl" and line.split()[2:] == ["OFF", "OFF"] for line in lines)
