"""Flow text: what ovs-ofctl reads and prints, checked against the real one; and a refusal for each way to be wrong."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from inband.control.letters import LETTERS
from inband.errors import UsageError
from inband.flow import actions as a
from inband.flow import ports
from inband.flow.fields import FIELDS, VLAN_PRESENT
from inband.flow.flow import Flow, FlowFlags
from inband.flow.match import ANY, Match
from inband.flow.ports import PortNo
from inband.flow.priority import HiddenPriority, OpenFlowPriority
from inband.flow.text import (
    flow_document,
    format_actions,
    format_bridge_flow,
    format_flow,
    format_match,
    parse_actions,
    parse_flow,
    parse_match,
    parse_port,
)
from inband.openflow.codec import encode
from inband.openflow.messages import Envelope
from inband.openflow.multipart import FlowStats, FlowStatsReply
from inband.vocabulary.openflow import OFP13

# text as people give it -> as `ovs-ofctl -O OpenFlow13 parse-flow` of Open vSwitch 3.1.0 prints it
MATCHES = [
    ("", ""),
    (
        "tcp,in_port=LOCAL,nw_dst=10.0.0.0/8,tp_dst=80,dl_vlan=5",
        "tcp,in_port=LOCAL,dl_vlan=5,nw_dst=10.0.0.0/8,tp_dst=80",
    ),
    ("arp,arp_spa=10.0.0.1,arp_op=2", "arp,arp_spa=10.0.0.1,arp_op=2"),
    ("arp,nw_src=10.0.0.1,nw_proto=2", "arp,arp_spa=10.0.0.1,arp_op=2"),
    ("icmp6,icmpv6_type=135,nd_target=fe80::1", "icmp6,icmp_type=135,nd_target=fe80::1"),
    ("icmp6,icmp_type=136,nd_tll=00:11:22:33:44:55", "icmp6,icmp_type=136,nd_tll=00:11:22:33:44:55"),
    ("tcp6,ipv6_src=2001:db8::/32,tcp_dst=80", "tcp6,ipv6_src=2001:db8::/32,tp_dst=80"),
    ("ip,ip_dscp=10", "ip,nw_tos=40"),
    ("ip,nw_tos=40,nw_ecn=1,nw_ttl=3", "ip,nw_tos=40,nw_ecn=1,nw_ttl=3"),
    ("vlan_tci=0x1005/0x1fff", "dl_vlan=5"),
    ("vlan_tci=0", "vlan_tci=0x0000/0x1fff"),
    ("dl_vlan=0xffff", "vlan_tci=0x0000/0x1fff"),
    ("vlan_tci=0x1000/0x1000", "vlan_tci=0x1000/0x1000"),
    ("vlan_tci=0x1005/0x1007", "vlan_tci=0x1005/0x1007"),
    ("vlan_vid=0x1005,vlan_pcp=3", "dl_vlan=5,dl_vlan_pcp=3"),
    ("dl_vlan_pcp=3", "dl_vlan_pcp=3"),
    ("vlan_tci=0xf123", "dl_vlan=291,dl_vlan_pcp=7"),
    ("eth_type=0x88cc", "dl_type=0x88cc"),
    ("dl_type=0x05ff", "dl_type=0x05ff"),
    ("dl_type=0x0800,nw_proto=6", "tcp"),
    ("ip,nw_proto=47", "ip,nw_proto=47"),
    ("ip,nw_frag=later", "ip,nw_frag=later"),
    ("ip,nw_frag=not_later", "ip,nw_frag=not_later"),
    ("udp,tp_src=68,tp_dst=67,in_port=LOCAL", "udp,in_port=LOCAL,tp_src=68,tp_dst=67"),
    ("sctp,tp_dst=5", "sctp,tp_dst=5"),
    ("tcp,tcp_flags=+syn-ack", "tcp,tcp_flags=+syn-ack"),
    ("tcp,tcp_flags=0x012/0xfff", "tcp,tcp_flags=syn|ack"),
    ("tcp,tcp_flags=0", "tcp,tcp_flags=0"),
    ("metadata=0x5/0xff,tun_id=5,reg0=7", "reg0=0x7,tun_id=0x5,metadata=0x5/0xff"),
    ("mpls,mpls_label=5,mpls_tc=3,mpls_bos=1", "mpls,mpls_label=5,mpls_tc=3,mpls_bos=1"),
    ("icmp,icmp_type=8,icmp_code=0", "icmp,icmp_type=8,icmp_code=0"),
    ("in_port=65534", "in_port=LOCAL"),
    ("ip,nw_src=1.2.0.4/255.255.0.255", "ip,nw_src=1.2.0.4/255.255.0.255"),
    ("ip,nw_src=0.0.0.0/0", "ip"),
    ("dl_dst=01:00:00:00:00:00/01:00:00:00:00:00", "dl_dst=01:00:00:00:00:00/01:00:00:00:00:00"),
    ("ipv6,ipv6_label=0x5/0xff", "ipv6,ipv6_label=0x00005/0x000ff"),
    ("ipv6,ipv6_src=2001::1/ffff::ff", "ipv6,ipv6_src=2001::1/ffff::ff"),
    ("rarp", "rarp"),
    ("dl_src=00:11:22:33:44:55,dl_dst=0:1:2:3:4:5", "dl_src=00:11:22:33:44:55,dl_dst=00:01:02:03:04:05"),
]

ACTIONS = [
    ("drop", "drop"),
    ("", "drop"),
    ("1", "output:1"),
    ("output:65534", "LOCAL"),
    ("normal", "NORMAL"),
    ("set_queue:1,output:2,NORMAL", "set_queue:1,output:2,NORMAL"),
    ("push_vlan:0x8100,set_field:4100->vlan_vid", "push_vlan:0x8100,set_field:4100->vlan_vid"),
    ("controller", "CONTROLLER:65535"),
    ("controller:128", "CONTROLLER:128"),
    ("controller(reason=no_match,max_len=5,id=3)", "controller(reason=no_match,max_len=5,id=3)"),
    ("in_port,flood,all,local,table", "IN_PORT,FLOOD,ALL,LOCAL,TABLE"),
    ("enqueue:1:2", "set_queue:2,output:1,pop_queue"),
    ("load:5->NXM_NX_REG0[],resubmit(,2)", "load:0x5->NXM_NX_REG0[],resubmit(,2)"),
    ("load:5->NXM_NX_REG0[4..7]", "load:0x5->NXM_NX_REG0[4..7]"),
    ("set_field:0x50/0xf0->reg0", "load:0x5->NXM_NX_REG0[4..7]"),
    ("resubmit:1", "resubmit:1"),
    ("resubmit(1,2)", "resubmit(1,2)"),
    ("resubmit(LOCAL,)", "resubmit:LOCAL"),
    ("move:NXM_NX_REG0[0..7]->NXM_NX_REG1[8..15]", "move:NXM_NX_REG0[0..7]->NXM_NX_REG1[8..15]"),
    ("move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]", "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]"),
    ("mod_dl_src:00:11:22:33:44:55", "set_field:00:11:22:33:44:55->eth_src"),
    ("set_tunnel:5", "set_field:0x5->tun_id"),
    ("group:7", "group:7"),
    ("write_metadata:5/0xf,goto_table:7", "write_metadata:0x5/0xf,goto_table:7"),
    (
        "clear_actions,write_actions(output:5,group:1),goto_table:4",
        "clear_actions,write_actions(output:5,group:1),goto_table:4",
    ),
    ("meter:3,output:1", "meter:3,output:1"),
]

IP_ACTIONS = [
    ("set_field:1.2.3.4->ip_src,dec_ttl", "set_field:1.2.3.4->ip_src,dec_ttl"),
    ("mod_nw_dst:1.2.3.4", "set_field:1.2.3.4->ip_dst"),
    ("mod_nw_tos:40", "set_field:10->ip_dscp"),
    ("mod_nw_ttl:5", "mod_nw_ttl:5"),
    ("set_field:1->nw_ecn", "set_field:1->nw_ecn"),
]


def run_ovs_ofctl(*arguments: str) -> str:
    """What the real one prints."""
    if shutil.which("ovs-ofctl") is None:
        assert "CI" not in os.environ, "ovs-ofctl is missing: run make setup"
        pytest.skip("ovs-ofctl is not installed")
    return subprocess.run(["ovs-ofctl", *arguments], capture_output=True, text=True, check=True, timeout=10).stdout


@pytest.mark.parametrize(("text", "printed"), MATCHES)
def test_a_match_is_printed_as_ovs_ofctl_prints_it(text: str, printed: str) -> None:
    match = parse_match(text)

    assert format_match(match) == printed
    assert parse_match(printed) == match


@pytest.mark.parametrize(("text", "printed"), [*ACTIONS, *IP_ACTIONS])
def test_actions_are_printed_as_ovs_ofctl_prints_them(text: str, printed: str) -> None:
    actions = parse_actions(text)

    assert format_actions(actions) == printed
    assert parse_actions(printed) == actions


@pytest.mark.parametrize(
    ("match", "actions", "printed"),
    [
        *((text, "1", f"{printed} actions=output:1".strip()) for text, printed in MATCHES),
        *(("", text, f"actions={printed}") for text, printed in ACTIONS),
        *(("ip", text, f"ip actions={printed}") for text, printed in IP_ACTIONS),
    ],
)
def test_the_real_ovs_ofctl_agrees(match: str, actions: str, printed: str) -> None:
    if actions.startswith("set_field:0x50/0xf0"):
        actions = "load:5->NXM_NX_REG0[4..7]"  # the real one prints a masked set_field as one load per piece
    said = run_ovs_ofctl("-O", "OpenFlow13", "parse-flow", f"{match},actions={actions}".lstrip(","))

    assert next(line for line in said.splitlines() if ": ADD " in line).partition(": ADD ")[2] == printed


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("tpc", "neither a keyword nor FIELD=VALUE: did you mean tcp?"),
        ("nw_scr=1.2.3.4", "unknown field 'nw_scr': did you mean nw_src?"),
        ("tp_dst=80", "tp_dst needs tcp, udp or sctp"),
        ("tcp_dst=80", "tcp_dst needs ip or ipv6 beside it"),
        ("ip,tcp_dst=80", "tcp_dst needs tcp beside it"),
        ("nw_src=1.2.3.4", "nw_src needs ip beside it"),
        ("ipv6,nw_src=1.2.3.4", "write ipv6_src"),
        ("ip,nw_src=1.2.3", "'1.2.3' is not an IPv4 address"),
        ("ip,nw_src=1.2.3.4/33", "a prefix has at most 32 bits"),
        ("ip,nw_src=1.2.3.4/99999999999", "a prefix has at most 32 bits"),
        ("ipv6,ipv6_src=1.2.3.4", "is not an IPv6 address"),
        ("icmp6,nd_target=fe80::1", "nd_target needs icmp_type=135"),
        ("vlan_pcp=3", "vlan_pcp needs a VLAN"),
        ("dl_vlan=4096", "is not a VLAN"),
        ("dl_vlan=-1", "not a number from 0 to 65535"),
        ("nw_tos=41", "has ECN bits"),
        ("tcp,tp_dst=80/0xff", "cannot be matched under a mask"),
        ("tcp,tp_dst=65536", "not a number from 0 to 65535"),
        ("tcp,tcp_flags=+sin", "'sin' is no flag"),
        ("tcp,tcp_flags=", "'' is no flag"),
        ("in_port=eth0", "'eth0' is not a port: write a number or LOCAL"),
        ("dl_src=1:2:3", "is not a MAC address"),
        ("dl_type=²", "not a number"),
        ("ip,nw_frag=perhaps", "not a number"),
    ],
)
def test_a_wrong_match_is_refused_with_the_part_that_is_wrong(text: str, complaint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_match(text)

    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("norml", "unknown action 'norml': did you mean normal?"),
        ("output", "action output needs an argument"),
        ("output:eth7", "is not a port"),
        ("group:x", "not a number"),
        ("drop:5", "unknown action 'drop:5'"),
        ("write_actions(output:1", "do not pair"),
        ("output:1)", "do not pair"),
        ("(" * 20 + ")" * 20, "deeper than"),
        ("%", "is not an action"),
        ("set_field:5", "write set_field:VALUE[/MASK]->FIELD"),
        ("set_field:5->nonsense", "write set_field:VALUE[/MASK]->FIELD"),
        ("load:5->reg0", "is not a part of a field"),
        ("load:500->reg0[0..3]", "not a number from 0 to 15"),
        ("move:reg0[0..40]->reg1[]", "reg0 has bits 0 to 31"),
        ("move:reg0[0..3]->reg1[]", "4 bits do not fit into 32"),
        ("controller(foo=1)", "write controller(reason="),
        ("goto_table:1,goto_table:2", "GotoTable is given twice"),
        ("write_actions(goto_table:1)", "unknown action"),
        ("output:1," * 10_000, "more than"),
    ],
)
def test_wrong_actions_are_refused_with_the_part_that_is_wrong(text: str, complaint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_actions(text)

    assert complaint in str(caught.value)


def test_a_flow_is_read_whole() -> None:
    flow = parse_flow(
        "table=3, priority=9,cookie=5,idle_timeout=6,hard_timeout=5,send_flow_rem,check_overlap,in_port=2,actions=drop"
    )

    assert (flow.table_id, flow.priority, flow.cookie) == (3, 9, 5)
    assert (flow.idle_timeout_s, flow.hard_timeout_s) == (6, 5)
    assert flow.flags == FlowFlags.SEND_FLOW_REM | FlowFlags.CHECK_OVERLAP
    assert flow.match == Match.of(in_port=2)
    assert flow.instructions == ()


def test_a_flow_without_actions_is_a_description_of_packets() -> None:
    flow = parse_flow("in_port=eth1,tcp,nw_dst=192.0.2.1", {"eth1": PortNo(7)})

    assert flow.instructions is None
    assert flow.priority == 0x8000
    assert flow.match == Match.of(in_port=7, eth_type=0x0800, ip_proto=6, ipv4_dst=0xC0000201)


@pytest.mark.parametrize("text", ["priority=65536", "table=256", "priority=", "tcp,actions", "xactions=1"])
def test_a_wrong_flow_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_flow(text)


def test_ports_are_numbers_or_names() -> None:
    assert parse_port("local") == ports.LOCAL
    assert parse_port("65533") == ports.CONTROLLER
    assert parse_port("0x10") == 16
    assert parse_port("eth1", {"eth1": PortNo(3)}) == 3


def a_flow(**changes: object) -> Flow:
    values: dict[str, object] = {
        "match": Match.of(eth_type=0x0800, ip_proto=6, ipv4_dst=(0x0A000000, 0xFF000000)),
        "priority": OpenFlowPriority(9),
        "instructions": (a.ApplyActions((a.SetQueue(1), a.Output(ports.NORMAL))),),
        "created": 10.0,
        "packets": 7,
        "bytes": 700,
    }
    return Flow(**(values | changes))  # type: ignore[arg-type]


def test_a_flow_is_printed_as_ovs_ofctl_dumps_it() -> None:
    assert format_flow(a_flow(), 11.234) == (
        " cookie=0x0, duration=1.234s, table=0, n_packets=7, n_bytes=700, "
        "priority=9,tcp,nw_dst=10.0.0.0/8 actions=set_queue:1,NORMAL"
    )
    flags = FlowFlags.SEND_FLOW_REM | FlowFlags.RESET_COUNTS
    rich = a_flow(
        match=ANY, priority=OpenFlowPriority(0x8000), idle_timeout_s=5, hard_timeout_s=6, flags=flags, cookie=18
    )
    assert format_flow(rich, 10.0) == (
        " cookie=0x12, duration=0s, table=0, n_packets=7, n_bytes=700, idle_timeout=5, hard_timeout=6, "
        "send_flow_rem reset_counts actions=set_queue:1,NORMAL"
    )


@pytest.mark.parametrize(
    ("changes", "duration"),
    [
        ({}, 1.234),
        ({"flags": FlowFlags.SEND_FLOW_REM, "table_id": 3}, 0.5),
        ({"match": ANY, "priority": OpenFlowPriority(0), "instructions": ()}, 3.0),
        ({"match": ANY, "priority": OpenFlowPriority(0x8000), "instructions": ()}, 3.001),
        ({"idle_timeout_s": 5, "hard_timeout_s": 6, "flags": FlowFlags(31), "cookie": 18}, 86400.25),
        *(({"match": parse_match(text)}, 1.0) for text, _ in MATCHES),
        *(({"instructions": parse_actions(text)}, 1.0) for text, _ in ACTIONS),
    ],
)
def test_the_real_ovs_ofctl_prints_a_dumped_flow_the_same(changes: dict[str, object], duration: float) -> None:
    flow = a_flow(**changes)
    seconds, thousandths = divmod(round(duration * 1000), 1000)
    entry = FlowStats(
        flow.table_id,
        flow.match,
        OpenFlowPriority(flow.priority),
        flow.instructions,
        flow.cookie,
        seconds,
        thousandths * 1_000_000,
        flow.idle_timeout_s,
        flow.hard_timeout_s,
        flow.flags,
        flow.packets,
        flow.bytes,
    )
    message = encode(Envelope(OFP13, 1, FlowStatsReply((entry,))))

    printed = run_ovs_ofctl("ofp-print", message.hex()).splitlines()[-1]

    assert format_flow(flow, flow.created + duration) == printed


HIDDEN = a_flow(priority=HiddenPriority(180007), origin=LETTERS["h"].origin("192.0.2.1:6653"))


def test_a_hidden_flow_has_its_letter_and_remote() -> None:
    assert format_flow(HIDDEN, 12.0) == (
        " cookie=0x0, duration=2s, table=0, n_packets=7, n_bytes=700, letter=h, remote=192.0.2.1:6653, "
        "priority=180007,tcp,nw_dst=10.0.0.0/8 actions=set_queue:1,NORMAL"
    )
    assert format_bridge_flow(HIDDEN, 12.9) == (
        "duration=2s, n_packets=7, n_bytes=700, letter=h, remote=192.0.2.1:6653, "
        "priority=180007,tcp,nw_dst=10.0.0.0/8,actions=set_queue:1,NORMAL"
    )


@pytest.mark.parametrize(
    ("letter", "subject", "label"),
    [
        ("c", "02:00:00:00:00:01", "letter=c, local=02:00:00:00:00:01"),
        ("l", "10.0.0.1", "letter=l, local=10.0.0.1"),
        ("u", "10.0.0.0/24", "letter=u, local=10.0.0.0/24"),
        ("e", "02:00:00:00:00:09", "letter=e, remote=02:00:00:00:00:09"),
    ],
)
def test_our_own_addresses_are_called_no_remotes(letter: str, subject: str, label: str) -> None:
    flow = a_flow(priority=LETTERS[letter].priority, origin=LETTERS[letter].origin(subject))

    document = flow_document(flow, 12.0)

    assert f", {label}, " in format_flow(flow, 12.0)
    assert f", {label}, " in format_bridge_flow(flow, 12.0)
    assert (document.get("local"), document.get("remote")).count(subject) == 1
    assert ("local" in document) is ("local=" in label)


def test_a_flows_document_has_the_same_texts() -> None:
    document = flow_document(HIDDEN, 12.0)

    assert document["match"] == "tcp,nw_dst=10.0.0.0/8"
    assert document["actions"] == "set_queue:1,NORMAL"
    assert (document["hidden"], document["letter"], document["remote"]) == (True, "h", "192.0.2.1:6653")
    assert "letter" not in flow_document(a_flow(), 12.0)


def test_actions_of_datapaths_have_words_too() -> None:
    actions: list[a.DatapathAction] = [
        a.ToController(a.PacketInReason.NO_MATCH, 128, 0, 0),
        a.Clone((a.PushPbb(), a.Output(PortNo(2)))),
        a.CopyTtlIn(),
        a.PopPbb(),
        a.SetMplsTtl(3),
        a.PopMpls(0x0800),
    ]

    assert format_actions(actions) == (
        "controller(reason=no_match,max_len=128),clone(push_pbb:0x88e7,output:2),copy_ttl_in,pop_pbb,"
        "set_mpls_ttl(3),pop_mpls:0x0800"
    )


@st.composite
def matches(draw: st.DrawFn) -> Match:
    """Matches over any fields, with the prerequisites that they need."""
    match = Match()
    for name in draw(st.lists(st.sampled_from(sorted(FIELDS)), max_size=6)):
        field = FIELDS[name]
        mask = draw(st.integers(1, field.all_ones)) if field.maskable and draw(st.booleans()) else field.all_ones
        # Numbers of 16 bits from 0xff00 on are OpenFlow 1.0's reserved ports to ovs-ofctl, never ports of a switch.
        largest = 0xFEFF if field.text == "port" else field.all_ones
        match = match.with_field(name, draw(st.integers(0, largest)), mask)
    for name in reversed(list(match.fields())):
        for needed, allowed in FIELDS[name].needs:
            if needed == "vlan_vid":
                match = match.with_field("vlan_vid", VLAN_PRESENT | draw(st.integers(0, 4095)))
            elif match.get(needed) is None or (allowed and match.get(needed) not in allowed):
                match = match.with_field(needed, draw(st.sampled_from(allowed)) if allowed else 1)
    assume(all(_is_met(match, *need) for name in match.fields() for need in FIELDS[name].needs))
    return match


def _is_met(match: Match, needed: str, allowed: tuple[int, ...]) -> bool:
    value = match.get(needed)
    return value in allowed if allowed else needed != "vlan_vid" or bool(match.fields().get(needed))


@given(matches())
@settings(max_examples=300)
def test_every_match_reads_back_from_its_text(match: Match) -> None:
    assert parse_match(format_match(match)) == match


@given(st.text(max_size=30) | st.text(alphabet="tcpudi_nwsrgo=:,/()->[].0123456789f ", max_size=40))
@settings(max_examples=300)
def test_any_text_is_a_flow_or_refused_and_nothing_else(text: str) -> None:
    for candidate in (text, f"actions={text}", f"tcp,{text}", f"in_port={text}"):
        try:
            flow = parse_flow(candidate)
        except UsageError:
            continue
        assert parse_match(format_match(flow.match)) == flow.match
