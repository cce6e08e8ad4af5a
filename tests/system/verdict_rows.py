"""Flows, groups and packets that make sense or do not, as ovs-ofctl writes them, for two switches to judge.

What a row expects is what Open vSwitch says to it; EXCEPTIONS names each row about which ours says something else, what
that is, and why. ``group:1`` and ``meter:1`` are there, no other group or meter is.

A text that ovs-ofctl itself would refuse is sent as our codec writes it; bytes are given where no text says the same.
"""

from __future__ import annotations

from typing import NamedTuple

V13, V10 = "OpenFlow13", "OpenFlow10"
FF = 3  # OFPGT_FF
FLOW, GROUP, PACKET, BYTES = "add-flow", "add-group", "packet-out", "bytes"


class Row(NamedTuple):
    """One request: in which version, what kind, its text (of BYTES: the message without xid, in hexadecimal)."""

    version: str
    kind: str
    text: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.version[-2:]} {self.name or self.text}"


def _flow_mod_10(match: str, actions: str, tail: str = "0000", timeouts: str = "00000000") -> str:
    """A FLOW_MOD of 1.0: add, priority 5, these 40 bytes of match, these actions, these flags."""
    size = 72 + len(bytes.fromhex(actions))
    fixed = f"0000000000000000 0000 {timeouts} 0005 ffffffff ffff" + tail
    return (f"010e{size:04x}0000002a" + match + fixed + actions).replace(" ", "")


def _flow_mod_13(actions: str, fields: str = "", instructions: str = "") -> str:
    """A FLOW_MOD of 1.3: add to table 0, priority 5, with these OXM fields, and the actions applied."""
    match = f"0001{4 + len(bytes.fromhex(fields)):04x}{fields}" + "00" * (-(4 + len(bytes.fromhex(fields))) % 8)
    applied = f"0004{8 + len(bytes.fromhex(actions)):04x}00000000{actions}" if actions else ""
    body = "00" * 16 + "0000 0000 0000 0005 ffffffff ffffffff ffffffff 0000 0000" + match + instructions + applied
    return (f"040e{8 + len(bytes.fromhex(body)):04x}0000002a" + body).replace(" ", "")


_ANY_10 = "003fffff" + "00" * 36
_ARP = "ffffffffffff0200000000010806000108000604000102000000000100000000000000000000010203040506"
_OUTPUT_2 = "00000010000000020000000000000000"
_OUTPUT_2_10 = "0000000800020000"
_SET_ETH_TYPE, _SET_TCP_DST = "0019001080000a020800000000000000", "0019001080001c020050000000000000"
_IPV4 = "80000a020800"

FLOWS_13 = """
actions=drop
ip,actions=set_field:6->ip_proto,set_field:80->tcp_dst,output:1
tcp,actions=set_field:17->ip_proto,set_field:80->tcp_dst,output:1
tcp,actions=set_field:80->tcp_dst,output:1
ip,actions=set_field:80->tcp_dst,output:1
tcp,actions=set_field:80->udp_dst,output:1
actions=set_field:0x800->eth_type,output:1
ip,actions=set_field:6->ip_proto,output:1
actions=set_field:5->metadata,output:1
actions=set_field:5->tun_id,load:5->NXM_NX_REG0[],output:1
actions=set_field:5->in_port,output:1
mpls,actions=set_field:1->mpls_bos,output:1
arp,actions=set_field:1.2.3.4->arp_spa,set_field:2->arp_op,output:1
ip,actions=set_field:1.2.3.4->arp_spa,output:1
icmp,actions=set_field:3->icmp_type,set_field:4->icmp_code,output:1
icmp6,icmp_type=135,actions=set_field:::1->nd_target,set_field:02:00:00:00:00:01->nd_sll,output:1
icmp6,icmp_type=135,actions=set_field:02:00:00:00:00:01->nd_tll,output:1
icmp6,icmp_type=135,actions=set_field:136->icmpv6_type,set_field:::1->nd_target,output:1
ipv6,actions=set_field:5->ipv6_label,set_field:3->ip_dscp,output:1
ip,actions=set_field:5->ipv6_label,output:1
tcp,ip_frag=later,actions=set_field:80->tcp_dst,output:1
tcp,ip_frag=later,tp_dst=80,actions=output:1
dl_vlan=5,actions=pop_vlan,output:1
dl_vlan=5,actions=pop_vlan,set_field:3->vlan_pcp,output:1
dl_vlan=5,actions=pop_vlan,pop_vlan,output:1
actions=pop_vlan,output:1
vlan_vid=0x1000/0x1000,actions=pop_vlan,output:1
vlan_vid=0x1000/0x1000,actions=set_field:4101->vlan_vid,set_field:3->vlan_pcp,output:1
actions=set_field:4101->vlan_vid,output:1
vlan_tci=0,actions=set_field:4101->vlan_vid,output:1
dl_vlan=5,actions=set_field:6->vlan_vid,output:1
actions=set_field:6->vlan_vid,output:1
actions=push_vlan:0x8100,set_field:4101->vlan_vid,set_field:3->vlan_pcp,output:1
actions=push_vlan:0x88a8,pop_vlan,set_field:4101->vlan_vid,output:1
dl_vlan=5,actions=push_vlan:0x88a8,set_field:4101->vlan_vid,pop_vlan,pop_vlan,output:1
dl_vlan=5,actions=push_vlan:0x8100,push_vlan:0x8100,push_vlan:0x8100,output:1
actions=push_vlan:0x9100,output:1
dl_vlan=5,tcp,actions=pop_vlan,set_field:80->tcp_dst,output:1
actions=push_mpls:0x8847,set_field:5->mpls_label,set_mpls_ttl(3),dec_mpls_ttl,output:1
actions=push_mpls:0x0800,output:1
ip,actions=push_mpls:0x8847,set_field:1.2.3.4->ip_dst,output:1
ip,actions=push_mpls:0x8847,dec_ttl,output:1
ip,actions=push_mpls:0x8847,pop_mpls:0x0800,dec_ttl,output:1
tcp,actions=push_mpls:0x8847,pop_mpls:0x0800,set_field:80->tcp_dst,output:1
mpls,actions=pop_mpls:0x0800,set_field:1.2.3.4->ip_dst,output:1
mpls,actions=pop_mpls:0x8847,set_field:5->mpls_label,output:1
mpls,actions=pop_mpls:0x0800,set_field:5->mpls_label,output:1
ip,actions=pop_mpls:0x0800,output:1
ip,dl_vlan=5,actions=push_mpls:0x8847,set_field:4102->vlan_vid,output:1
actions=push_pbb:0x88e7,output:1
dl_type=0x88e7,actions=pop_pbb,set_field:3->vlan_pcp,output:1
actions=pop_pbb,output:1
ip,actions=copy_ttl_out,output:1
ip,actions=dec_ttl,mod_nw_ttl:5,output:1
arp,actions=dec_ttl,output:1
actions=set_mpls_ttl(5),output:1
tcp,actions=write_actions(set_field:80->tcp_dst,output:1)
actions=write_actions(set_field:80->tcp_dst,output:1)
actions=push_vlan:0x8100,write_actions(set_field:4101->vlan_vid,output:1)
actions=write_actions(set_field:4101->vlan_vid,push_vlan:0x8100)
actions=write_actions(group:1,output:1)
actions=goto_table:1
actions=goto_table:0
table=5,actions=goto_table:5
table=5,actions=goto_table:4
actions=goto_table:253
actions=goto_table:254
table=254,actions=output:1
actions=write_metadata:5/0xff,goto_table:1
actions=clear_actions
actions=meter:1,output:1
actions=meter:2,output:1
actions=group:1
actions=group:2
actions=group:0xffffff01
actions=group:2,output:0xff00
actions=resubmit(,1),resubmit(2,3),output:1
table=3,actions=resubmit(,3)
actions=output:0
actions=output:77
actions=output:65279
actions=output:0xff00
actions=output:0xffffff00
actions=output:ANY
actions=output:TABLE
actions=IN_PORT,LOCAL,NORMAL,FLOOD,ALL,CONTROLLER:65535
in_port=1,actions=output:1
in_port=0xff00,actions=output:1
in_port=0xffffff00,actions=output:1
in_port=CONTROLLER,actions=output:1
actions=set_queue:5,output:1,pop_queue
actions=set_queue:0xffffffff,output:1
actions=load:5->NXM_OF_IP_DST[],output:1
ip,actions=load:5->NXM_OF_IP_DST[0..7],output:1
ip,actions=load:6->NXM_OF_IP_PROTO[],output:1
ip,actions=load:5->NXM_NX_IP_TTL[],output:1
ip,actions=move:NXM_OF_IP_DST[]->NXM_NX_REG0[],output:1
actions=move:NXM_OF_IP_DST[]->NXM_NX_REG0[],output:1
actions=move:NXM_NX_REG0[]->NXM_OF_IP_DST[],output:1
ip,actions=move:NXM_NX_REG0[0..7]->NXM_OF_IP_PROTO[],output:1
actions=controller(max_len=5,id=3,reason=no_match)
ip,actions=set_field:80->tcp_dst,goto_table:0
"""

FLOWS_10 = """
actions=drop
tcp,tp_dst=80,actions=mod_nw_dst:1.2.3.4,mod_tp_dst:81,output:1
actions=mod_vlan_vid:5,mod_vlan_pcp:3,output:1
actions=strip_vlan,output:1
actions=dec_ttl,output:1
actions=push_mpls:0x8847,output:1
actions=pop_mpls:0x0800,output:1
actions=load:5->NXM_OF_ARP_OP[],output:1
arp,actions=load:2->NXM_OF_ARP_OP[],output:1
actions=load:5->NXM_NX_IP_TTL[],output:1
ip,actions=push_mpls:0x8847,load:5->NXM_NX_IP_TTL[],output:1
actions=set_field:0x800->eth_type,output:1
actions=move:NXM_OF_IP_DST[]->NXM_NX_REG0[],output:1
ip,actions=move:NXM_OF_IP_DST[]->NXM_NX_REG0[],output:1
actions=set_tunnel:5,set_field:1->metadata,output:1
actions=resubmit(1,2),resubmit(,3)
actions=enqueue:1:5,set_queue:6,output:2,pop_queue
actions=output:TABLE
actions=IN_PORT,LOCAL,NORMAL,FLOOD,ALL,CONTROLLER:65535
"""

GROUPS = """
group_id=7,type=all,bucket=output:1,bucket=dec_ttl,set_field:80->tcp_dst,output:2
group_id=7,type=all,bucket=output:TABLE
group_id=7,type=all,bucket=set_field:5->metadata,output:1
group_id=7,type=all,bucket=set_field:6->vlan_vid,output:1
group_id=7,type=indirect,bucket=group:1
group_id=7,type=indirect,bucket=group:2
group_id=7,type=ff,bucket=watch_port:1,output:1,bucket=watch_port:99,output:2
group_id=7,type=ff,bucket=watch_port:CONTROLLER,output:1,bucket=watch_port:99,output:2
group_id=7,type=all,bucket=watch_port:1,output:1
"""

PACKETS = f"""
in_port=1 packet={_ARP} actions=output:2
in_port=0 packet={_ARP} actions=output:2
in_port=CONTROLLER packet={_ARP} actions=output:2
in_port=LOCAL packet={_ARP} actions=TABLE
in_port=77 packet={_ARP} actions=output:77
in_port=1 packet={_ARP} actions=set_field:2->arp_op,output:2
in_port=1 packet={_ARP} actions=set_field:80->tcp_dst,output:2
in_port=1 packet={_ARP} actions=dec_ttl,output:2
in_port=1 packet={_ARP} actions=set_field:5->metadata,output:2
in_port=1 packet={_ARP} actions=group:2
"""


def _packet_out_13(in_port: int, data: str = "", actions: str = _OUTPUT_2) -> str:
    size = len(bytes.fromhex(actions))
    body = f"ffffffff{in_port:08x}{size:04x}000000000000{actions}{data}"
    return f"040d{8 + len(bytes.fromhex(body)):04x}0000002a{body}".replace(" ", "")


def _group_mod(buckets: str, kind: int = 0, group_id: int = 7) -> str:
    size = 16 + len(bytes.fromhex(buckets))
    return f"040f{size:04x}0000002a 0000 {kind:02x}00 {group_id:08x}{buckets}".replace(" ", "")


def _bucket(actions: str = _OUTPUT_2, watch_port: int = 0xFFFFFFFF) -> str:
    return f"{16 + len(bytes.fromhex(actions)):04x}0000{watch_port:08x}ffffffff00000000{actions}"


_BYTES = (
    # what the codec judges
    (V13, "set_field with a mask", _flow_mod_13("001900188000070c0000000000010000000000ff00000000")),
    (V13, "set_field of a value that is too large", _flow_mod_13("00190010800010014000000000000000", _IPV4)),
    (V13, "set_field of a wrong length", _flow_mod_13("00190010800006040000000100000000")),
    (V13, "set_field of no known field", _flow_mod_13("001900108000fe010000000000000000")),
    (V13, "two gotos", _flow_mod_13("", "", "00010008010000000001000802000000")),
    (V13, "action of no number", _flow_mod_13("0063000800000000")),
    (V13, "action longer than its list", _flow_mod_13("0012001000000000")),
    (V13, "actions that are no multiple of 8 bytes", _flow_mod_13("0012000c0000000000000000")),
    (V13, "load beyond the field", _flow_mod_13("ffff00180000232000070783000100040000000000000001")),
    (V13, "load of a value that is too large", _flow_mod_13("ffff001800002320000700030001000400000000000000ff")),
    (V13, "move beyond the field", _flow_mod_13("ffff001800002320000600200001000000010004 00010204")),
    # what the agent does
    (V13, "two faults: what is wrong by itself first", _flow_mod_13(_SET_TCP_DST + _SET_ETH_TYPE)),
    (V13, "two faults: headers before groups", _flow_mod_13("0016000800000002" + _SET_TCP_DST)),
    (V13, "packet out with no data", _packet_out_13(1)),
    (V13, "packet out with no data from port 0", _packet_out_13(0)),
    (V13, "packet out with no data from CONTROLLER", _packet_out_13(0xFFFFFFFD)),
    (V13, "packet out of 5 bytes", _packet_out_13(1, "0102030405")),
    (V13, "packet out from no number", _packet_out_13(0xFF00, _ARP)),
    (V13, "packet out from an old reserved number", _packet_out_13(0xFFFFFF00, _ARP)),
    (V13, "packet out from FLOOD", _packet_out_13(0xFFFFFFFB, _ARP)),
    (V13, "packet out to no number", _packet_out_13(1, _ARP, "000000100000ff000000000000000000")),
    (V13, "bucket that outputs to no number", _group_mod(_bucket("000000100000ff000000000000000000"))),
    (V13, "bucket that sets eth_type", _group_mod(_bucket(_SET_ETH_TYPE))),
    (V13, "bucket that sets tcp_dst", _group_mod(_bucket(_SET_TCP_DST))),
    (V13, "bucket that pushes no tag", _group_mod(_bucket("0011000808000000"))),
    (V13, "bucket that watches LOCAL", _group_mod(_bucket(watch_port=0xFFFFFFFE), FF)),
    (V13, "bucket that watches NORMAL", _group_mod(_bucket(watch_port=0xFFFFFFFA), FF)),
    (V13, "bucket that watches no number", _group_mod(_bucket(watch_port=0xFF00), FF)),
    (V13, "bucket that watches port 0", _group_mod(_bucket(watch_port=0), FF)),
    (V13, "fast failover that watches nothing", _group_mod(_bucket(), FF)),
    (V13, "group above OFPG_MAX", _group_mod(_bucket(), group_id=0xFFFFFF01)),
    (V10, "set_nw_dst and set_tp_dst of any packet", _flow_mod_10(_ANY_10, "0007000801020304 000a000800500000")),
    (V10, "set_vlan_vid beyond 12 bits", _flow_mod_10(_ANY_10, "0001000810050000")),
    (V10, "enqueue to CONTROLLER", _flow_mod_10(_ANY_10, "000b0010fffd00000000000000000005")),
    (V10, "output to NONE", _flow_mod_10(_ANY_10, "00000008ffff0000")),
    (V10, "output to 0xff00", _flow_mod_10(_ANY_10, "00000008ff000000")),
    (V10, "load into tcp_dst of any packet", _flow_mod_10(_ANY_10, "ffff0018000023200007000f000014020000000000000001")),
    (V10, "unknown flag", _flow_mod_10(_ANY_10, "0000000800010000", "0008")),
    (V10, "emergency flow", _flow_mod_10(_ANY_10, "0000000800010000", "0004")),
    (V10, "emergency flow with a timeout", _flow_mod_10(_ANY_10, "0000000800010000", "0004", timeouts="00050000")),
    (V10, "no wildcards", _flow_mod_10("00000000" + "0001" + "020000000001" * 2 + "ffff 00 00 0800 00 06 0000"
                                       "0a000001 0a000002 0050 0051", _OUTPUT_2_10)),
    (V10, "ICMP type of 16 bits", _flow_mod_10("003fff8f" + "00" * 18 + "0800 00 01 0000" + "00" * 8 + "012c 0000",
                                               _OUTPUT_2_10)),
    (V10, "VLAN of 16 bits", _flow_mod_10("003ffffd" + "00" * 14 + "1005" + "00" * 20, _OUTPUT_2_10)),
    (V10, "VLAN priority of 8 bits", _flow_mod_10("002ffffd" + "00" * 14 + "0005 0b" + "00" * 19, _OUTPUT_2_10)),
    (V10, "untagged, with a priority", _flow_mod_10("002ffffd" + "00" * 14 + "ffff 03" + "00" * 19, _OUTPUT_2_10)),
)  # fmt: skip

ROWS: tuple[Row, ...] = (
    *(Row(V13, FLOW, text) for text in FLOWS_13.split("\n") if text),
    *(Row(V10, FLOW, text) for text in FLOWS_10.split("\n") if text),
    *(Row(V13, GROUP, text) for text in GROUPS.split("\n") if text),
    *(Row(V13, PACKET, text, text.replace(_ARP, "ARP")) for text in PACKETS.split("\n") if text),
    *(Row(version, BYTES, text, name) for version, name, text in _BYTES),
)


class Difference(NamedTuple):
    """What ours says to a row instead: an error's name, or what it shows; and why."""

    ours: str | tuple[str, ...]
    reason: str


UNREADABLE = ("ovs-ofctl cannot read it",)
"""What is shown of actions that Open vSwitch does not have."""

_NO_PBB = "Open vSwitch has no PBB"
_MORE_TAGS = "Open vSwitch holds two VLAN tags, ours any number"
_SPEC = "Open vSwitch takes it and never does it; the specification has an error"
_TABLES = "Open vSwitch keeps table 254 for itself; here the last is 253"

EXCEPTIONS: dict[tuple[str, str], Difference] = {
    (V13, "actions=set_field:5->in_port,output:1"): Difference(
        "OFPBAC_BAD_SET_ARGUMENT", "where a packet came in is a fact here; resubmit makes it look otherwise"
    ),
    (V13, "mpls,actions=set_field:1->mpls_bos,output:1"): Difference(
        UNREADABLE, "read-only in Open vSwitch; 1.3.5 (7.2.5) lets it be set, and the os-ken suite does"
    ),
    (V13, "dl_vlan=5,actions=push_vlan:0x8100,push_vlan:0x8100,push_vlan:0x8100,output:1"): Difference(
        ("dl_vlan=5 actions=push_vlan:0x8100,push_vlan:0x8100,push_vlan:0x8100,output:1",), _MORE_TAGS
    ),
    (V13, "actions=push_pbb:0x88e7,output:1"): Difference(UNREADABLE, _NO_PBB),
    (V13, "dl_type=0x88e7,actions=pop_pbb,set_field:3->vlan_pcp,output:1"): Difference(
        "OFPBAC_MATCH_INCONSISTENT", _NO_PBB
    ),
    (V13, "actions=pop_pbb,output:1"): Difference("OFPBAC_MATCH_INCONSISTENT", _NO_PBB),
    (V13, "ip,actions=copy_ttl_out,output:1"): Difference(UNREADABLE, "Open vSwitch cannot copy a TTL"),
    (V13, "actions=goto_table:254"): Difference("OFPBIC_BAD_TABLE_ID", _TABLES),
    (V13, "table=254,actions=output:1"): Difference("OFPFMFC_BAD_TABLE_ID", _TABLES),
    (V13, "actions=output:0"): Difference("OFPBAC_BAD_OUT_PORT", _SPEC),
    (V13, "bucket that watches port 0"): Difference("OFPGMFC_BAD_WATCH", _SPEC),
    (V13, "bucket that watches NORMAL"): Difference("OFPGMFC_BAD_WATCH", _SPEC),
    (V13, "group_id=7,type=indirect,bucket=group:2"): Difference(
        "OFPBAC_BAD_OUT_GROUP", "ours promises to check chains of groups (OFPGFC_CHAINING_CHECKS)"
    ),
    (V13, "set_field of no known field"): Difference(
        "OFPBAC_BAD_SET_TYPE", "the specification's code for a field that is not known; Open vSwitch says BAD_SET_LEN"
    ),
    (V10, "load into tcp_dst of any packet"): Difference(
        ("priority=5 actions=load:0x1->NXM_OF_TCP_DST[]",),
        "it is what 1.0's set_tp_dst is: nothing happens to packets without the field",
    ),
}
