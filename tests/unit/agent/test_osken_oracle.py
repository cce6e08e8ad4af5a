"""os-ken speaks to a whole agent: it builds each request and reads each reply, byte for byte as on a socket."""

from __future__ import annotations

from typing import Any

import pytest
from os_ken.ofproto import ofproto_parser, ofproto_v1_0_parser, ofproto_v1_3_parser
from os_ken.ofproto.ofproto_protocol import ProtocolDesc

from inband.agent.connection import Kind
from inband.flow.actions import PacketInReason, ToController
from inband.flow.ports import PortNo
from inband.openflow.codec import split
from inband.openflow.session import Session
from inband.packet.frame import Frame
from inband.vocabulary.openflow import PortReason
from tests.unit.agent.bench_switch import PORT_1, Bench

NO_BUFFER = 0xFFFFFFFF


class Peer:
    """An os-ken controller on one end, our session and agent on the other."""

    def __init__(self, version: int, n_tables: int = 4) -> None:
        self.parser: Any = {1: ofproto_v1_0_parser, 4: ofproto_v1_3_parser}[version]
        self.datapath = ProtocolDesc(version=version)
        self.ofproto = self.datapath.ofproto
        self.session = Session(0.0)
        self.bench = Bench(n_tables=n_tables, version=version)
        self._output = bytearray()
        self._xid = 100
        self.ask(self.parser.OFPHello(self.datapath))
        assert self.session.version == version
        self.bench.agent.disconnect(1)
        self.bench.agent.connect(1, Kind.CONTROLLER, version, 0.0)

    def ask(self, *requests: Any, now: float = 0.0) -> list[Any]:
        """Send requests and return what comes back, as os-ken reads it; xids must fit."""
        for request in requests:
            self._xid += 1
            request.set_xid(self._xid)
            request.serialize()
            self.session.feed(bytes(request.buf), now)
            for envelope in self.session.read(1000):
                self._work()
                assert not self.bench.agent.must_wait(1, envelope)
                self.bench.agent.handle(1, envelope, now)
        return self.hear()

    def hear(self) -> list[Any]:
        """What the switch says."""
        self._work()
        for envelope in self.bench.agent.take(1):
            self.session.send(envelope)
        while self.session.has_output:
            self._output += self.session.take_output()
        return [self._read(raw) for raw in split(self._output)]

    def _work(self) -> None:
        while self.bench.agent.is_busy:
            self.bench.agent.go_on()
        while self.bench.agent.is_replying(1):
            self.bench.agent.go_on_with_reply(1)

    def _read(self, raw: bytes) -> Any:
        version, kind, length, xid = ofproto_parser.header(raw)
        message = ofproto_parser.msg(self.datapath, version, kind, length, xid, raw)
        assert message is not None, raw.hex()
        return message

    def add_flow(self, table: int = 0, flags: int = 0, **fields: Any) -> Any:
        """A FLOW_MOD of 1.3 that outputs to port 2."""
        p = self.parser
        output = [p.OFPInstructionActions(self.ofproto.OFPIT_APPLY_ACTIONS, [p.OFPActionOutput(2)])]
        match = p.OFPMatch(**fields)
        return p.OFPFlowMod(self.datapath, table_id=table, match=match, instructions=output, flags=flags)


@pytest.fixture
def peer() -> Peer:
    return Peer(4)


def test_features_and_configuration(peer: Peer) -> None:
    p, dp = peer.parser, peer.datapath

    features, config = peer.ask(p.OFPFeaturesRequest(dp), p.OFPSetConfig(dp, 0, 0xFFFF), p.OFPGetConfigRequest(dp))

    assert (features.datapath_id, features.n_tables, features.n_buffers) == (0x2A, 4, 0)
    assert config.miss_send_len == 0xFFFF


def test_replies_carry_the_transaction_of_their_request(peer: Peer) -> None:
    request = peer.parser.OFPBarrierRequest(peer.datapath)

    (reply,) = peer.ask(request)

    assert isinstance(reply, peer.parser.OFPBarrierReply)
    assert reply.xid == request.xid


def test_a_flow_is_added_shown_summed_and_removed(peer: Peer) -> None:
    p, dp = peer.parser, peer.datapath
    flag = peer.ofproto.OFPFF_SEND_FLOW_REM
    peer.ask(peer.add_flow(table=1, flags=flag, eth_type=0x0800, ipv4_dst=("10.0.0.0", "255.0.0.0")))
    peer.bench.tables.select()[0].credit(3, 180, 1.0)

    (shown,) = peer.ask(p.OFPFlowStatsRequest(dp), now=2.5)
    (summed,) = peer.ask(p.OFPAggregateStatsRequest(dp, 0, 0xFF, 0xFFFFFFFF, 0xFFFFFFFF, 0, 0, p.OFPMatch()))
    delete = p.OFPFlowMod(
        dp,
        table_id=0xFF,
        command=peer.ofproto.OFPFC_DELETE,
        out_port=0xFFFFFFFF,
        out_group=0xFFFFFFFF,
        match=p.OFPMatch(),
    )
    (removed,) = peer.ask(delete, now=3.0)

    (entry,) = shown.body
    assert (entry.table_id, entry.packet_count, entry.byte_count, entry.duration_sec) == (1, 3, 180, 2)
    assert entry.match["ipv4_dst"] == ("10.0.0.0", "255.0.0.0")
    assert entry.instructions[0].actions[0].port == 2
    assert (summed.body.packet_count, summed.body.flow_count) == (3, 1)
    assert (removed.reason, removed.packet_count) == (peer.ofproto.OFPRR_DELETE, 3)


def test_a_large_flow_dump_comes_in_segments_that_say_so(peer: Peer) -> None:
    for port in range(1, 1501):
        peer.ask(peer.add_flow(in_port=port))

    replies = peer.ask(peer.parser.OFPFlowStatsRequest(peer.datapath))

    more = [bool(reply.flags & peer.ofproto.OFPMPF_REPLY_MORE) for reply in replies]
    assert len(replies) > 1
    assert more == [True] * (len(replies) - 1) + [False]
    assert sum(len(reply.body) for reply in replies) == 1500


def test_table_features_of_every_table(peer: Peer) -> None:
    replies = Peer(4, n_tables=254).ask(peer.parser.OFPTableFeaturesStatsRequest(peer.datapath, 0, []))

    tables = [entry for reply in replies for entry in reply.body]
    assert [entry.table_id for entry in tables] == list(range(254))
    assert all(len(entry.properties) == 8 for entry in tables)


@pytest.mark.parametrize(
    ("request_", "arguments", "count"),
    [
        ("OFPDescStatsRequest", (0,), None),
        ("OFPTableStatsRequest", (0,), 4),
        ("OFPPortStatsRequest", (0, 0xFFFFFFFF), 3),
        ("OFPPortDescStatsRequest", (0,), 3),
        ("OFPQueueStatsRequest", (0, 0xFFFFFFFF, 0xFFFFFFFF), 0),
        ("OFPGroupStatsRequest", (0, 0xFFFFFFFC), 0),
        ("OFPGroupDescStatsRequest", (0,), 0),
        ("OFPGroupFeaturesStatsRequest", (0,), None),
        ("OFPMeterStatsRequest", (0, 0xFFFFFFFF), 0),
        ("OFPMeterConfigStatsRequest", (0, 0xFFFFFFFF), 0),
        ("OFPMeterFeaturesStatsRequest", (0,), 1),
    ],
)
def test_every_multipart_request_gets_a_readable_reply(
    peer: Peer, request_: str, arguments: tuple[int, ...], count: int | None
) -> None:
    (reply,) = peer.ask(getattr(peer.parser, request_)(peer.datapath, *arguments))

    if count is not None:
        assert len(reply.body) == count


def test_roles_and_asynchronous_configuration(peer: Peer) -> None:
    p, dp, ofproto = peer.parser, peer.datapath, peer.ofproto

    role, config = peer.ask(
        p.OFPRoleRequest(dp, ofproto.OFPCR_ROLE_MASTER, 7),
        p.OFPSetAsync(dp, [1, 2], [3, 4], [5, 6]),
        p.OFPGetAsyncRequest(dp),
    )
    (stale,) = peer.ask(p.OFPRoleRequest(dp, ofproto.OFPCR_ROLE_MASTER, 6))

    assert (role.role, role.generation_id) == (ofproto.OFPCR_ROLE_MASTER, 7)
    assert (config.packet_in_mask, config.port_status_mask, config.flow_removed_mask) == ([1, 2], [3, 4], [5, 6])
    assert (stale.type, stale.code) == (ofproto.OFPET_ROLE_REQUEST_FAILED, ofproto.OFPRRFC_STALE)


def test_packet_ins_and_port_status(peer: Peer) -> None:
    action = ToController(PacketInReason.NO_MATCH, 0xFFFF, table_id=2, cookie=9)
    peer.bench.agent.packet_in(PortNo(1), Frame(bytes(range(60))), action, 0.0)
    peer.bench.agent.port_changed(PortReason.DELETE, PORT_1, 0.0)

    packet_in, status = peer.hear()

    assert (packet_in.buffer_id, packet_in.total_len, packet_in.table_id, packet_in.cookie) == (NO_BUFFER, 60, 2, 9)
    assert packet_in.match["in_port"] == 1
    assert packet_in.data == bytes(range(60))
    assert (status.reason, status.desc.port_no, status.desc.name) == (1, 1, b"eth1")


def test_a_refused_request_is_shown_in_the_error(peer: Peer) -> None:
    request = peer.parser.OFPGroupMod(peer.datapath, peer.ofproto.OFPGC_MODIFY, peer.ofproto.OFPGT_ALL, 1, [])

    (error,) = peer.ask(request)

    assert (error.type, error.code) == (peer.ofproto.OFPET_GROUP_MOD_FAILED, peer.ofproto.OFPGMFC_UNKNOWN_GROUP)
    assert error.data == bytes(request.buf)[:512]


def test_a_1_0_controller_adds_shows_and_removes_a_flow() -> None:
    peer = Peer(1)
    p, dp, ofproto = peer.parser, peer.datapath, peer.ofproto
    match = p.OFPMatch(dl_type=0x0800, nw_proto=6, tp_dst=80)
    add = p.OFPFlowMod(
        dp, match, 5, ofproto.OFPFC_ADD, flags=ofproto.OFPFF_SEND_FLOW_REM, actions=[p.OFPActionOutput(0xFFFA)]
    )
    everything = p.OFPMatch()

    (features,) = peer.ask(add, p.OFPFeaturesRequest(dp))
    (shown,) = peer.ask(p.OFPFlowStatsRequest(dp, 0, everything, 0xFF, ofproto.OFPP_NONE))
    (summed,) = peer.ask(p.OFPAggregateStatsRequest(dp, 0, everything, 0xFF, ofproto.OFPP_NONE))
    (removed,) = peer.ask(p.OFPFlowMod(dp, everything, 0, ofproto.OFPFC_DELETE, out_port=ofproto.OFPP_NONE))

    assert (features.datapath_id, sorted(features.ports)) == (0x2A, [1, 2, ofproto.OFPP_LOCAL])
    (entry,) = shown.body
    assert (entry.match.dl_type, entry.match.nw_proto, entry.match.tp_dst) == (0x0800, 6, 80)
    assert entry.actions[0].port == ofproto.OFPP_NORMAL
    assert summed.body[0].flow_count == 1
    assert (removed.cookie, removed.reason) == (5, ofproto.OFPRR_DELETE)


def test_a_1_0_controller_reads_statistics_and_changes_a_port() -> None:
    peer = Peer(1)
    p, dp, ofproto = peer.parser, peer.datapath, peer.ofproto
    down = p.OFPPortMod(dp, 1, str(PORT_1.mac), ofproto.OFPPC_NO_FLOOD, ofproto.OFPPC_NO_FLOOD, 0)

    description, tables, ports, status = peer.ask(
        p.OFPDescStatsRequest(dp, 0),
        p.OFPTableStatsRequest(dp, 0),
        p.OFPPortStatsRequest(dp, 0, ofproto.OFPP_NONE),
        down,
    )

    assert description.body.mfr_desc == b"inband"
    assert [table.table_id for table in tables.body] == [0, 1, 2, 3]
    assert [port.port_no for port in ports.body] == [1, 2, ofproto.OFPP_LOCAL]
    assert (status.desc.port_no, status.desc.config) == (1, ofproto.OFPPC_NO_FLOOD)


@pytest.mark.parametrize(
    "fields", [{"eth_type": 0x8847, "mpls_label": 0xABCDE}, {"eth_type": 0x86DD, "ipv6_flabel": (0x12300, 0xFFF00)}]
)
def test_labels_of_20_bits_travel_as_4_bytes(peer: Peer, fields: dict[str, Any]) -> None:
    assert peer.ask(peer.add_flow(**fields)) == []

    (shown,) = peer.ask(peer.parser.OFPFlowStatsRequest(peer.datapath))

    (entry,) = shown.body
    assert dict(entry.match.items()) == fields
