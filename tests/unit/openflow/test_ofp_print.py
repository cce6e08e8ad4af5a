"""``ovs-ofctl ofp-print``, which is not ours, reads what we write."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from inband.flow import actions as a
from inband.flow.match import Match
from inband.flow.ports import LOCAL, NORMAL, PortNo
from inband.flow.priority import OpenFlowPriority
from inband.openflow import messages as m
from inband.openflow import multipart as mp
from inband.openflow.codec import encode
from inband.vocabulary import openflow as c
from inband.vocabulary.openflow import OFP10, OFP13
from inband.vocabulary.openflow_errors import (
    ERROR_TYPE,
    BadAction,
    BadInstruction,
    BadMatch,
    BadRequest,
    ErrorCode,
    ErrorType,
    FlowModFailed,
    MeterModFailed,
    OnfError,
    PortModFailed,
    QueueOpFailed,
    RoleRequestFailed,
)
from tests.unit.openflow.samples import ICMPV6, MASKS, PORT, REGISTERS, SAMPLES, TABLE_FEATURES, TCP, name_of

pytestmark = pytest.mark.skipif(
    shutil.which("ovs-ofctl") is None and "CI" not in os.environ, reason="ovs-ofctl is not installed"
)


def printed(message: m.Message, version: int = OFP13) -> str:
    """What ovs-ofctl reads of a message that we wrote."""
    data = encode(m.Envelope(version, 1, message))
    return subprocess.run(["ovs-ofctl", "ofp-print", data.hex()], capture_output=True, text=True, check=True).stdout


# What Open vSwitch does not know: copying TTLs, PBB, experimenters; and a mistake that it looks for and we do not:
# an action that does not fit the flow's match, fast failover without anything to watch.
_NOT_FOR_OVS = (m.Experimenter, mp.ExperimenterMultipartRequest, mp.ExperimenterMultipartReply, m.GroupMod, m.MeterMod)


def _is_for_ovs(envelope: m.Envelope) -> bool:
    message = envelope.message
    if isinstance(message, _NOT_FOR_OVS) or (envelope.version, type(message)) == (OFP13, m.NxSetFlowFormat):
        return False
    text = repr(message)
    return "CopyTtlOut" not in text and "mpls_label" not in text and "EXPERIMENTER" not in text and "abcd" not in text


@pytest.mark.parametrize("envelope", [sample for sample in SAMPLES if _is_for_ovs(sample)], ids=name_of)
def test_open_vswitch_reads_every_message(envelope: m.Envelope) -> None:
    text = printed(envelope.message, envelope.version)

    assert "decode error" not in text
    assert "(xid=0x1)" in text


_FLOW = mp.FlowStats(
    2,
    TCP,
    OpenFlowPriority(100),
    (
        a.ApplyActions((a.SetQueue(3), a.PushVlan(), a.SetField("vlan_vid", 0x1005), a.Output(NORMAL))),
        a.WriteActions((a.Group(4),)),
        a.WriteMetadata(1, 0xFF),
        a.GotoTable(7),
    ),
    cookie=1,
    duration_sec=2,
    duration_nsec=3_000_000,
    idle_timeout_s=4,
    packets=7,
    bytes=8,
)
_OLD_FLOW = mp.FlowStats(
    0, TCP, OpenFlowPriority(100), (a.ApplyActions((a.SetQueue(3), a.Output(PortNo(2)), a.PopQueue())),), packets=7
)
_NXM_FLOW = mp.FlowStats(3, ICMPV6, OpenFlowPriority(100), (a.ApplyActions((a.Resubmit(None, 4),)),))

ROWS: tuple[tuple[int, m.Message, tuple[str, ...]], ...] = (
    (
        OFP13,
        mp.FlowStatsReply((_FLOW,)),
        (
            "cookie=0x1, duration=2.003s, table=2, n_packets=7, n_bytes=8, idle_timeout=4, priority=100,",
            "tcp,in_port=1,nw_dst=10.0.0.0/24,tp_dst=80",
            "actions=set_queue:3,push_vlan:0x8100,set_field:4101->vlan_vid,NORMAL,write_actions(group:4),"
            "write_metadata:0x1/0xff,goto_table:7",
        ),
    ),
    (OFP10, mp.FlowStatsReply((_OLD_FLOW,)), ("tcp,in_port=1,nw_dst=10.0.0.0/24,tp_dst=80", "actions=enqueue:2:3")),
    (
        OFP10,
        mp.FlowStatsReply((_NXM_FLOW,), nicira=True),
        ("NXST_FLOW", "table=3", "icmp6,icmp_type=135,nd_target=0:10::,nd_sll=02:00:00:00:00:01", "resubmit(,4)"),
    ),
    (OFP13, mp.AggregateReply(1, 2, 3), ("packet_count=1 byte_count=2 flow_count=3",)),
    (
        OFP13,
        mp.PortDescReply((PORT,)),
        (
            "1(veth0): addr:02:00:00:00:00:01",
            "config:     NO_RECV",
            "state:      LINK_DOWN",
            "current:    1GB-FD COPPER",
        ),
    ),
    (OFP10, m.FeaturesReply(5, 0, 254, ports=(PORT,)), ("dpid:0000000000000005", "10GB-FD FIBER AUTO_NEG")),
    (
        OFP13,
        mp.TableFeaturesReply((TABLE_FEATURES,)),
        ('table 0 ("classifier")', "max_entries=1000000", "arbitrary mask: ip_src", "next tables: 1-3"),
    ),
    (
        OFP13,
        m.PacketIn(a.PacketInReason.ACTION, Match.of(in_port=int(LOCAL)), b"\0" * 14, 99, 3, 5),
        ("table_id=3 cookie=0x5 total_len=99 in_port=LOCAL (via action) data_len=14 (unbuffered)",),
    ),
    (
        OFP10,
        m.PacketIn(a.PacketInReason.ACTION, REGISTERS, b"", 0, nicira=True),
        ("reg0=0x5,tun_id=0x7,metadata=0x1/0x3",),
    ),
    (
        OFP13,
        m.FlowRemoved(TCP, OpenFlowPriority(9), c.FlowRemovedReason.IDLE_TIMEOUT, table_id=2, packets=7),
        ("reason=idle table_id=2", "pkts7"),
    ),
    (OFP13, m.RoleReply(c.Role.MASTER, 3), ("role=primary generation_id=3",)),
    (OFP10, m.RoleReply(c.Role.SLAVE), ("NXT_ROLE_REPLY", "role=secondary")),
    (OFP13, m.GetAsyncReply(MASKS), ("PACKET_IN: no_match action invalid_ttl",)),
    (OFP13, m.Error(ErrorType.FLOW_MOD_FAILED, FlowModFailed.OVERLAP, b""), ("OFPFMFC_OVERLAP",)),
    (OFP10, m.Error(ErrorType.FLOW_MOD_FAILED, FlowModFailed.OVERLAP, b""), ("OFPFMFC_OVERLAP",)),
    (OFP10, m.Error(ErrorType.FLOW_MOD_FAILED, FlowModFailed.TABLE_FULL, b""), ("OFPFMFC_TABLE_FULL",)),
    (OFP10, m.Error(ErrorType.BAD_REQUEST, BadRequest.BAD_EXPERIMENTER, b""), ("OFPBRC_BAD_VENDOR",)),
    (OFP10, m.Error(ErrorType.PORT_MOD_FAILED, PortModFailed.BAD_HW_ADDR, b""), ("OFPPMFC_BAD_HW_ADDR",)),
    (OFP10, m.Error(ErrorType.QUEUE_OP_FAILED, QueueOpFailed.BAD_QUEUE, b""), ("OFPQOFC_BAD_QUEUE",)),
)


@pytest.mark.parametrize(("version", "message", "expected"), ROWS)
def test_open_vswitch_reads_what_we_mean(version: int, message: m.Message, expected: tuple[str, ...]) -> None:
    text = printed(message, version)

    for part in expected:
        assert part in text


@pytest.mark.parametrize("kind", [kind for kind in ErrorType if kind != ErrorType.EXPERIMENTER])
def test_open_vswitch_knows_the_first_and_last_error_of_each_type(kind: ErrorType) -> None:
    (cls,) = (cls for cls, known in ERROR_TYPE.items() if known == kind)
    for code in (min(cls), max(cls)):
        text = printed(m.Error(kind, code, b""))

        assert text.startswith("OFPT_ERROR (OF1.3) (xid=0x1): OFP")
        assert "type" not in text.splitlines()[0].lower() or "BAD_TYPE" in text


@pytest.mark.parametrize(
    ("version", "code", "name"),
    [
        (OFP10, FlowModFailed.BAD_FLAGS, "OFPFMFC_BAD_FLAGS"),
        (OFP10, FlowModFailed.BAD_TIMEOUT, "OFPFMFC_BAD_EMERG_TIMEOUT"),
        *((OFP10, code, f"OFPBMC_{code.name}") for code in list(BadMatch)[5:11]),
        *((OFP10, code, f"OFPBAC_{code.name}") for code in (BadAction.MATCH_INCONSISTENT, *list(BadAction)[13:])),
        (OFP10, BadRequest.BAD_PORT, "OFPBRC_BAD_PORT"),
        (OFP10, BadRequest.BAD_TABLE_ID, "OFPBRC_BAD_TABLE_ID"),
        (OFP10, BadInstruction.UNSUP_INST, "OFPBIC_UNSUP_INST"),
        (OFP10, RoleRequestFailed.BAD_ROLE, "OFPRRFC_BAD_ROLE"),
        (OFP10, MeterModFailed.UNKNOWN_METER, "NXBRC_UNENCODABLE_ERROR"),
        (OFP13, OnfError.DUP_INST, "OFPBIC_DUP_INST"),
        (OFP13, OnfError.BAD_SET_MASK, "OFPBAC_BAD_SET_MASK"),
    ],
)
def test_open_vswitch_knows_errors_that_a_version_has_no_number_for(version: int, code: ErrorCode, name: str) -> None:
    text = printed(m.Error(ERROR_TYPE[type(code)], code, b"x"), version)

    assert f": {name}\n" in text
