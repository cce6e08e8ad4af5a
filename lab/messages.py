"""The few OpenFlow messages that a laboratory controller needs, packed by hand.

On purpose not the switch's own codec: a misunderstanding of the specification must not cancel out between the two ends.
OpenFlow 1.0.0 and 1.3.5; names and numbers are those of the specifications' openflow.h. What is not here (matches
other than "everything", statistics) is sent with ovs-ofctl or os-ken in the tests that need it.
"""

from __future__ import annotations

import struct

V10, V13 = 1, 4
HELLO, ERROR, ECHO_REQUEST, ECHO_REPLY = 0, 1, 2, 3
FEATURES_REQUEST, FEATURES_REPLY = 5, 6
FLOW_MOD, PACKET_IN = 14, 10
GROUP_MOD, METER_MOD = 15, 29  # of 1.3
SET_CONFIG, ROLE_REQUEST, SET_ASYNC = 9, 24, 28
_MASTER, _SLAVE = 2, 3
_PORT_MOD = {V10: 15, V13: 16}
_MULTIPART_REQUEST = {V10: 16, V13: 18}
MULTIPART_REPLY = 19  # OFPT_MULTIPART_REPLY of 1.3
FLOW_STATS, AGGREGATE, GROUP_DESC, TABLE_FEATURES, PORT_DESC = 1, 2, 7, 12, 13  # OFPMP_*
BARRIER_REQUEST, BARRIER_REPLY = 20, 21

PORT_DOWN, NO_RECV, NO_FWD = 1 << 0, 1 << 2, 1 << 5
"""Bits of ofp_port_config, the same in 1.0 and 1.3 (7.2.1 of 1.3.5; 5.2.1 of 1.0.0)."""
ALL_TABLES = 0xFF
HIGHEST_PRIORITY = 0xFFFF
_ANY = 0xFFFFFFFF  # OFPP_ANY, OFPG_ANY, OFP_NO_BUFFER
_CONTROLLER = {V10: 0xFFFD, V13: 0xFFFFFFFD}
_MATCH_ALL = {
    V10: struct.pack("!I36x", 0x3FFFFF),  # OFPFW_ALL
    V13: struct.pack("!HH4x", 1, 4),  # OFPMT_OXM without fields, padded to 8
}


def message(version: int, kind: int, xid: int, body: bytes = b"") -> bytes:
    """Put the 8-byte header in front of a body."""
    return struct.pack("!BBHI", version, kind, 8 + len(body), xid) + body


def hello(version: int) -> bytes:
    """Return a HELLO that offers exactly one version: with a bitmap from 1.3 on."""
    bitmap = struct.pack("!HHI", 1, 8, 1 << version) if version >= V13 else b""
    return message(version, HELLO, 1, bitmap)


def delete_all(version: int, xid: int) -> bytes:
    """Return the FLOW_MOD that deletes every flow of every table."""
    if version == V10:
        # match; cookie; OFPFC_DELETE, timeouts, priority; no buffer; out_port OFPP_NONE; flags
        return message(V10, FLOW_MOD, xid, _MATCH_ALL[V10] + struct.pack("!QHHHHIHH", 0, 3, 0, 0, 0, _ANY, 0xFFFF, 0))
    return message(V13, FLOW_MOD, xid, _flow_mod_13(ALL_TABLES, 3, 0) + _MATCH_ALL[V13])


def drop_all(version: int, xid: int, table: int = 0) -> bytes:
    """Return the FLOW_MOD that drops everything at the highest priority a controller can name."""
    return _everything(version, xid, table, b"")


def to_controller(version: int, xid: int, table: int = 0) -> bytes:
    """Return the FLOW_MOD that sends every packet, whole, to the controller and nowhere else."""
    if version == V10:
        return _everything(version, xid, table, struct.pack("!HHHH", 0, 8, _CONTROLLER[V10], 0xFFFF))
    output = struct.pack("!HHIH6x", 0, 16, _CONTROLLER[V13], 0xFFFF)
    return _everything(version, xid, table, struct.pack("!HH4x", 4, 8 + len(output)) + output)  # APPLY_ACTIONS


def take_powers_back(xid: int) -> list[bytes]:
    """Return the 1.3 messages that delete every group and every meter, and with them the flows that use them."""
    return [
        message(V13, GROUP_MOD, xid, struct.pack("!HBxI", 2, 0, 0xFFFFFFFC)),  # OFPGC_DELETE, OFPG_ALL
        message(V13, METER_MOD, xid, struct.pack("!HHI", 2, 0, _ANY)),  # OFPMC_DELETE, OFPM_ALL
    ]


def powers(xid: int) -> list[bytes]:
    """Return the 1.3 messages that make a meter that drops nearly all and three groups that lose what they get.

    Group 1 drops; group 2 is a select group that rewrites the destination and hands on to group 1; group 3 fails over
    from a port that is not there to group 2.
    """
    drop_band = struct.pack("!HHII4x", 1, 16, 1, 1)
    set_dst = struct.pack("!HHI6s2x", 25, 16, 0x80000606, b"\2\0\0\0\0\xee")  # SET_FIELD of OXM_OF_ETH_DST
    return [
        message(V13, METER_MOD, xid, struct.pack("!HHI", 0, 1 << 1 | 1 << 2, 1) + drop_band),  # PKTPS, BURST
        _group(xid, 1, 0, b""),
        _group(xid, 2, 1, _bucket(set_dst + _to_group(1), weight=1)),
        _group(xid, 3, 3, _bucket(_to_group(1), watch_port=99) + _bucket(_to_group(2), watch_group=2)),
    ]


def twisted(xid: int, table: int) -> list[bytes]:
    """Return FLOW_MODs that spend the TTL of IPv4, and meter and hand to groups whatever comes into a table."""
    set_queue = struct.pack("!HHI", 21, 8, 0xFFFFFFFE)
    spend_ttl = struct.pack("!HHB3x", 23, 8, 1) + struct.pack("!HH4x", 24, 8)  # SET_NW_TTL 1, DEC_NW_TTL
    ipv4 = struct.pack("!HHIH6x", 1, 10, 0x80000A02, 0x0800)  # OXM_OF_ETH_TYPE
    rows = ((HIGHEST_PRIORITY, ipv4, spend_ttl + set_queue + _to_group(3)), (HIGHEST_PRIORITY - 1, None, _to_group(2)))
    out = []
    for priority, match, actions in rows:
        apply = struct.pack("!HH4x", 4, 8 + len(actions)) + actions
        instructions = struct.pack("!HHI", 6, 8, 1) + apply  # METER 1, APPLY_ACTIONS
        body = _flow_mod_13(table, 0, priority) + (match or _MATCH_ALL[V13]) + instructions
        out.append(message(V13, FLOW_MOD, xid, body))
    return out


def detours(xid: int, table: int, last: int) -> bytes:
    """Return the FLOW_MOD that sends all that comes into a table on to the next, marked, and forgets it in the last."""
    if table == last:
        instructions = struct.pack("!HH4x", 5, 8)  # CLEAR_ACTIONS
    else:
        write_metadata = struct.pack("!HH4xQQ", 2, 24, 0xDEAD, 0xFFFF)
        write_nothing = struct.pack("!HH4x", 3, 8)  # WRITE_ACTIONS without any: the empty set drops
        instructions = write_metadata + write_nothing + struct.pack("!HHB3x", 1, 8, table + 1)  # GOTO_TABLE
    return message(V13, FLOW_MOD, xid, _flow_mod_13(table, 0, HIGHEST_PRIORITY) + _MATCH_ALL[V13] + instructions)


def throne(xid: int) -> list[bytes]:
    """Return messages by which a controller abdicates, is refused, rules again, and wants to hear nothing any more.

    Generations count up with ``xid``. The configuration at the end drops fragments and cuts packets sent up to nothing.
    """

    def role(number: int, generation: int) -> bytes:
        return message(V13, ROLE_REQUEST, xid, struct.pack("!I4xQ", number, generation))

    return [
        role(_SLAVE, 2 * xid),
        drop_all(V13, xid),  # refused: a slave may not
        role(_MASTER, 2 * xid + 1),
        role(_MASTER, 0),  # refused: stale
        deaf(xid),
        message(V13, SET_CONFIG, xid, struct.pack("!HH", 1, 0)),  # OFPC_FRAG_DROP
    ]


def deaf(xid: int) -> bytes:
    """Return the 1.3 message by which a controller wants to hear nothing by itself, no packet either."""
    return message(V13, SET_ASYNC, xid, bytes(24))


def barrier_request(xid: int) -> bytes:
    """Return a 1.3 BARRIER_REQUEST."""
    return message(V13, BARRIER_REQUEST, xid)


def multipart_request(xid: int, kind: int) -> bytes:
    """Return a 1.3 request for everything of a kind (OFPMP_*), flows of all tables if it is about flows."""
    about = b""
    if kind in (FLOW_STATS, AGGREGATE):
        about = struct.pack("!B3xII4xQQ", ALL_TABLES, _ANY, _ANY, 0, 0) + _MATCH_ALL[V13]
    return message(V13, _MULTIPART_REQUEST[V13], xid, struct.pack("!HH4x", kind, 0) + about)


def modify_all(xid: int, port: int) -> bytes:
    """Return the 1.3 FLOW_MOD that gives every flow of table 0 this output: OFPFC_MODIFY, not strict."""
    output = struct.pack("!HHIH6x", 0, 16, port, 0xFFFF)
    body = _flow_mod_13(0, 1, 0) + _MATCH_ALL[V13] + struct.pack("!HH4x", 4, 8 + len(output)) + output
    return message(V13, FLOW_MOD, xid, body)


def _group(xid: int, number: int, kind: int, buckets: bytes) -> bytes:
    return message(V13, GROUP_MOD, xid, struct.pack("!HBxI", 0, kind, number) + buckets)


def _bucket(actions: bytes, *, weight: int = 0, watch_port: int = _ANY, watch_group: int = _ANY) -> bytes:
    return struct.pack("!HHII4x", 16 + len(actions), weight, watch_port, watch_group) + actions


def _to_group(number: int) -> bytes:
    return struct.pack("!HHI", 22, 8, number)


def filler(version: int, xid: int, number: int) -> bytes:
    """Return a FLOW_MOD that adds the flow with this number (dl_dst 02:00 and the number), one row of a full table."""
    mac = struct.pack("!HI", 0x0200, number)
    if version == V10:
        match = struct.pack("!I8s6s22x", 0x3FFFFF & ~(1 << 3), b"", mac)
        return message(V10, FLOW_MOD, xid, match + struct.pack("!QHHHHIHH", 0, 0, 0, 0, 1, _ANY, 0xFFFF, 0))
    match = struct.pack("!HHI6s2x", 1, 14, 0x80000606, mac)  # OXM_OF_ETH_DST
    return message(V13, FLOW_MOD, xid, _flow_mod_13(0, 0, 1) + match)


def checked_filler(xid: int) -> bytes:
    """Return the 1.3 FLOW_MOD of the last ``filler``, to be refused if another overlaps: OFPFF_CHECK_OVERLAP."""
    match = struct.pack("!HHI6s2x", 1, 14, 0x80000606, struct.pack("!HI", 0x0200, 0xFFFFFFFF))
    return message(V13, FLOW_MOD, xid, _flow_mod_13(0, 0, 1, flags=1 << 1) + match)


def port_mod(version: int, xid: int, port: int, mac: bytes, config: int) -> bytes:
    """Return the PORT_MOD that sets no-receive, no-forward and down as in ``config`` and clears the rest."""
    mask = PORT_DOWN | NO_RECV | NO_FWD
    if version == V10:
        return message(V10, _PORT_MOD[V10], xid, struct.pack("!H6sIII4x", port, mac, config, mask, 0))
    return message(V13, _PORT_MOD[V13], xid, struct.pack("!I4x6s2xIII4x", port, mac, config, mask, 0))


def port_desc_request(xid: int) -> bytes:
    """Return the 1.3 request for the descriptions of all ports (1.0 has them in FEATURES_REPLY)."""
    return multipart_request(xid, PORT_DESC)


def ports_of(version: int, body: bytes) -> list[tuple[int, bytes]]:
    """Return (number, MAC) of each ofp_port in a PORT_DESC reply's (1.3) or FEATURES_REPLY's (1.0) list."""
    if version == V10:
        return [struct.unpack_from("!H6s", body, at) for at in range(0, len(body) - 47, 48)]
    return [struct.unpack_from("!I4x6s", body, at) for at in range(0, len(body) - 63, 64)]


def _everything(version: int, xid: int, table: int, actions: bytes) -> bytes:
    if version == V10:
        fixed = struct.pack("!QHHHHIHH", 0, 0, 0, 0, HIGHEST_PRIORITY, _ANY, 0xFFFF, 0)
        return message(V10, FLOW_MOD, xid, _MATCH_ALL[V10] + fixed + actions)
    return message(V13, FLOW_MOD, xid, _flow_mod_13(table, 0, HIGHEST_PRIORITY) + _MATCH_ALL[V13] + actions)


def _flow_mod_13(table: int, command: int, priority: int, flags: int = 0) -> bytes:
    # cookie, mask; table, command; timeouts; priority; buffer, out_port, out_group; flags
    return struct.pack("!QQBBHHHIIIH2x", 0, 0, table, command, 0, 0, priority, _ANY, _ANY, _ANY, flags)
