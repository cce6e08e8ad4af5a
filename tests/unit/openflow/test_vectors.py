"""Messages that ovs-ofctl really sent: each is read, and comes out again byte for byte.

Two are refused, as they should be: connection tracking and learning are not supported. Every other message of every
file, HELLO and table features included, has one form only, and it is the one that Open vSwitch writes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from inband.flow import actions as a
from inband.flow.flow import FlowFlags
from inband.flow.match import Match
from inband.flow.ports import NORMAL, PortNo
from inband.flow.priority import OpenFlowPriority
from inband.openflow import messages as m
from inband.openflow import multipart as mp
from inband.openflow.codec import DecodeError, decode, encode
from inband.vocabulary import openflow as c
from inband.vocabulary.addresses import Mac
from inband.vocabulary.openflow_errors import BadAction, BadMatch, ErrorCode

FILES = sorted((Path(__file__).parents[2] / "vectors").glob("*.hex"))
REFUSED: dict[str, ErrorCode] = {"fm13_ct": BadMatch.BAD_FIELD, "fm13_learn": BadAction.BAD_EXP_TYPE}


def lines(name: str) -> list[bytes]:
    """The messages of one file."""
    (path,) = (file for file in FILES if file.stem == name)
    return [bytes.fromhex(line) for line in path.read_text().split()]


@pytest.mark.parametrize("name", [file.stem for file in FILES if file.stem not in REFUSED])
def test_what_ovs_ofctl_sent_comes_out_again_byte_for_byte(name: str) -> None:
    named = False
    for data in lines(name):
        envelope = decode(data, table_id_in_command=named)
        named = named or envelope.message == m.NxFlowModTableId(enabled=True)

        assert encode(envelope, table_id_in_command=named) == data


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_supported_is_refused_with_its_error(name: str) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(lines(name)[1])

    assert caught.value.code == REFUSED[name]
    assert caught.value.data == lines(name)[1][:512]


def test_a_flow_mod_of_1_3_means_what_was_typed() -> None:
    message = decode(lines("fm13_6oxm")[1]).message

    assert message == m.FlowMod(
        c.FlowModCommand.ADD,
        Match.of(
            in_port=1,
            eth_src=int(Mac.parse("00:11:22:33:44:55")),
            eth_type=0x0800,
            ipv4_src=(0x0A000000, 0xFFFFFF00),
            ipv4_dst=0x0A000105,
            ip_proto=6,
        ),
        OpenFlowPriority(100),
        (a.ApplyActions((a.SetField("eth_dst", int(Mac.parse("66:55:44:33:22:11"))), a.Output(PortNo(2), 0))),),
        table_id=2,
        cookie=0x1234,
        idle_timeout_s=60,
        hard_timeout_s=300,
        flags=FlowFlags.SEND_FLOW_REM,
    )


def test_nicira_s_actions_in_1_3_mean_what_was_typed() -> None:
    message = decode(lines("fm13_nx")[1]).message

    assert isinstance(message, m.FlowMod)
    assert message.match == Match.of(eth_type=0x0800, reg0=5)
    assert message.instructions == (
        a.ApplyActions((a.SetField("reg1", 7), a.Resubmit(None, 3), a.SetQueue(4), a.Output(NORMAL, 0))),
    )


def test_a_flow_mod_of_1_0_means_what_was_typed() -> None:
    message = decode(lines("fm10")[5]).message

    assert message == m.FlowMod(
        c.FlowModCommand.ADD,
        Match.of(in_port=1, eth_type=0x0800, ipv4_src=(0x0A000000, 0xFFFFFF00), ip_proto=6, tcp_dst=80),
        OpenFlowPriority(100),
        (
            a.ApplyActions(
                (a.SetField("eth_dst", int(Mac.parse("66:55:44:33:22:11"))), a.Output(PortNo(2), 0)),
            ),
        ),
        flags=FlowFlags.RESET_COUNTS,
    )


def test_an_enqueue_of_1_0_is_three_actions() -> None:
    message = decode(lines("fm10_enq")[5]).message

    assert isinstance(message, m.FlowMod)
    (apply,) = message.instructions
    assert isinstance(apply, a.ApplyActions)
    assert apply.actions[:3] == (a.SetQueue(1), a.Output(PortNo(2)), a.PopQueue())


def test_nxst_flow_is_a_flow_statistics_request_that_says_so() -> None:
    assert decode(lines("df10nx")[3]).message == mp.FlowStatsRequest(nicira=True)
