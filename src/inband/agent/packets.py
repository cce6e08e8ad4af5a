"""PACKET_IN and PACKET_OUT.

The switch keeps no packets (n_buffers 0), so every PACKET_IN has the whole packet, whatever max_len and miss_send_len
say (OpenFlow 1.3.5, 6.1.2: a packet that is not buffered is sent in full); a controller can always send it back. What
does not fit into one message (a reassembled frame near 64 kB) is cut into the frames that a card would have sent.

A packet that no flow matches goes to OpenFlow 1.0 peers (there 3.4: "sent to the controller") and to no others: in
1.3 it is dropped unless a table-miss flow says otherwise (5.4). So table 0 hands such packets up only while a peer
wants them. That flow is one like others for 1.0 peers, which hear of its packets as of any action's.

Each connection has a rate limit of its own. What is above it is counted, not queued: packet-ins are the only messages
that hosts can cause at will.
"""

from __future__ import annotations

from dataclasses import replace

from inband.agent.connection import Connection
from inband.agent.effects import Execute, SettingsChanged
from inband.agent.known_headers import KnownHeaders
from inband.agent.refusal import RefusalError
from inband.agent.switch import Switch
from inband.agent.validate import check_actions, check_in_port, what_is_asked
from inband.flow.actions import Output, PacketInReason, ToController
from inband.flow.fields import ALL_BITS
from inband.flow.match import ANY, Match
from inband.flow.ports import PortNo
from inband.openflow.messages import PacketIn, PacketOut
from inband.packet.checksum import segment
from inband.packet.frame import Frame
from inband.packet.parse import parse
from inband.packet.tags import count_vlan_tags
from inband.table.flow_table import TableMiss
from inband.vocabulary.instant import Instant
from inband.vocabulary.openflow import NO_BUFFER, NO_COOKIE, OFP10
from inband.vocabulary.openflow_errors import BadRequest

ETHERNET_HEADER = 14
MAX_DATA = 65000
"""Bytes of a packet in one PACKET_IN: a message has 16 bits of length, and up to some 150 bytes before the data."""


def send_packet_in(switch: Switch, in_port: PortNo, frame: Frame, action: ToController, now: Instant) -> None:
    """Send a frame to every connection that wants it; ``in_port`` is where it came in."""
    wanting = [connection for connection in switch.connections.values() if _wants(connection, action)]
    if not wanting:
        return
    match = _pipeline_match(in_port, action)
    for piece in segment(frame):
        message = PacketIn(
            reason=action.reason,
            match=match,
            data=piece.data[:MAX_DATA],
            total_len=min(len(piece.data), 0xFFFF),
            table_id=action.table_id,
            cookie=action.cookie,
        )
        for connection in wanting:
            reason = _reason(connection, action)
            _send(connection, message if reason is action.reason else replace(message, reason=reason), now)


def follow_misses(switch: Switch) -> None:
    """Make table 0 hand up what no flow matches if a connection wants that now."""
    is_wanted = any(
        connection.version == OFP10 and connection.wants_packet_in(PacketInReason.NO_MATCH)
        for connection in switch.connections.values()
    )
    miss = TableMiss.CONTROLLER if is_wanted else TableMiss.DROP
    if switch.tables[0].miss is not miss:
        switch.tables[0].miss = miss
        switch.effects.append(SettingsChanged())


def _reason(connection: Connection, action: ToController) -> PacketInReason:
    """Why a connection gets a packet, in the words of its version."""
    is_10 = connection.version == OFP10
    return PacketInReason.ACTION if is_10 and action.by_miss_flow else action.reason


def _wants(connection: Connection, action: ToController) -> bool:
    reason = _reason(connection, action)
    is_for_it = connection.controller_id == action.controller_id and connection.wants_packet_in(reason)
    has_no_flow = action.reason is PacketInReason.NO_MATCH and action.cookie == NO_COOKIE
    return is_for_it and (connection.version == OFP10 or not has_no_flow)


def _send(connection: Connection, message: PacketIn, now: Instant) -> None:
    if not connection.packet_in_limit.take(now):
        connection.packet_ins_limited += 1
        return
    connection.push(replace(message, nicira=True) if connection.is_nicira_packet_in else message)


def _pipeline_match(in_port: PortNo, action: ToController) -> Match:
    """in_port, and what tables set: what a parser of the data could not find out (7.4.1)."""
    match = Match.of(in_port=in_port)
    if action.metadata:
        match = match.with_field("metadata", action.metadata)
    if action.tunnel_id:
        match = match.with_field("tunnel_id", action.tunnel_id)
    return match


def send_packet_out(switch: Switch, connection: Connection, request: PacketOut, _: Instant) -> None:
    """Have a PACKET_OUT executed (7.3.7). One without an Ethernet header is taken, and there is nothing to send."""
    if request.buffer_id != NO_BUFFER:
        raise RefusalError(BadRequest.BUFFER_UNKNOWN, "this switch keeps no packets")
    check_in_port(request.in_port)
    packet = _known_headers(request)
    check_actions(request.actions, packet, what_is_asked(connection.version), switch.tables.groups)
    if len(request.data) >= ETHERNET_HEADER:
        switch.effects.append(Execute(request.in_port, Frame(request.data), request.actions))


def _known_headers(request: PacketOut) -> Match | KnownHeaders:
    """What is known of a packet that is here: all of it, where an action can ask for it."""
    if all(type(action) is Output for action in request.actions):
        return ANY
    inner_tags = max(0, count_vlan_tags(request.data) - 1)
    return KnownHeaders(parse(request.data, request.in_port), ALL_BITS, inner_tags)
