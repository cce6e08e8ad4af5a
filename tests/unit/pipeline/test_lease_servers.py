"""Which DHCP server LOCAL listens to."""

from __future__ import annotations

from dataclasses import replace

from inband.flow.actions import Output
from inband.flow.match import Match
from inband.flow.ports import LOCAL, NORMAL, PortNo
from inband.packet import dhcp
from inband.packet.dhcp import DhcpReply, LeasedNetwork
from inband.pipeline.lease_servers import DOUBT_FIRST_S, SILENT_S, LeaseServers
from inband.pipeline.trace import Trace
from inband.testing import packets
from inband.vocabulary.addresses import Mac
from tests.unit.pipeline.scene import P1, P2, US, Scene, out

ACK, OFFER, NAK = 5, 2, 6
XID = b"\x12\x34\x56\x78"
GOOD, ROGUE = "10.0.0.254", "10.0.0.66"


def reply(server: str, kind: int = ACK, xid: bytes = XID, your_ip: str = "10.0.0.9") -> bytes:
    """What a server says to this switch's client."""
    options = bytes((53, 1, kind, 54, 4, *map(int, server.split(".")), 1, 4, 255, 255, 255, 0, 255))
    frame = packets.dhcp_reply(chaddr=US, your_ip=your_ip)
    message = frame[42:-4].replace(XID, xid) + options
    return packets.udp(server, "255.255.255.255", 67, 68, message)


def asked(scene: Scene, now: float, xid: bytes = XID) -> None:
    """LOCAL asks for a lease."""
    message = b"\x01\x01\x06\x00" + xid + bytes(228)
    scene.receive(packets.udp("0.0.0.0", "255.255.255.255", 68, 67, message, src=US), LOCAL, now)


def leased(port: PortNo = P1) -> Scene:
    """A switch that has a lease of the good server by this port, and reached a controller by it."""
    scene = Scene()
    asked(scene, 1.0)
    assert scene.actions(reply(GOOD), port, 1.0) == out(LOCAL)
    assert scene.pipeline.lease_servers.channel_works()
    return scene


def test_a_reply_says_which_server_it_is_from_and_whether_it_gives_a_lease() -> None:
    server = int.from_bytes(bytes((10, 0, 0, 254)))

    told = LeasedNetwork(0x0A000000, 0xFFFFFF00, 0)
    assert dhcp.read_reply(reply(GOOD)) == DhcpReply(Mac.parse(US), XID, server, True, told)
    assert dhcp.read_reply(reply(GOOD, OFFER)) == DhcpReply(Mac.parse(US), XID, server, False, told)
    nothing = LeasedNetwork(0, 0, 0)
    assert dhcp.read_reply(packets.dhcp_reply(chaddr=US)) == DhcpReply(Mac.parse(US), XID, 0, True, nothing)


def test_a_reply_says_in_which_network_behind_which_router_the_address_is() -> None:
    mask, routers = b"\x01\x04\xff\xff\x00\x00", b"\x03\x08\x0a\x00\x00\x01\x0a\x00\x00\x02"

    def network(your_ip: str, options: bytes = b"") -> LeasedNetwork | None:
        message = packets.dhcp_reply(chaddr=US, your_ip=your_ip)[42:-1]
        found = dhcp.read_reply(packets.udp(GOOD, "255.255.255.255", 67, 68, message + options + b"\xff"))
        return None if found is None else found.network

    assert network("10.1.7.9", mask + routers) == LeasedNetwork(0x0A010000, 0xFFFF0000, 0x0A000001)
    assert network("10.1.7.9", mask) == LeasedNetwork(0x0A010000, 0xFFFF0000, 0)
    assert network("10.1.7.9", b"\x01\x03\xff\xff\x00") == LeasedNetwork(0, 0, 0)
    assert network("0.0.0.0", mask) is None


def test_options_that_are_cut_anywhere_are_none() -> None:
    whole = reply(GOOD)[42:]

    for size in range(236, len(whole)):
        found = dhcp.read_reply(packets.udp(GOOD, "255.255.255.255", 67, 68, whole[:size]))
        assert found is not None
        assert found.server in (0, int.from_bytes(bytes((10, 0, 0, 254))))


def test_before_a_channel_came_up_all_servers_are_heard() -> None:
    scene = Scene()
    asked(scene, 1.0)

    assert scene.actions(reply(ROGUE, OFFER), P2) == scene.actions(reply(GOOD, OFFER), P1) == out(LOCAL)


def test_what_other_servers_say_is_withheld_whatever_the_flow_table_says() -> None:
    scene = leased()
    scene.flow(Output(NORMAL))
    asked(scene, 60.0)

    for kind in (OFFER, ACK, NAK):
        answer = scene.receive(reply(ROGUE, kind), P2, 60.1)
        assert Output(LOCAL) not in answer.actions
        assert not answer.cacheable
    assert scene.pipeline.counters["lease_contradicted"] == 3
    assert LOCAL in [each.port for each in scene.actions(reply(GOOD), P1, 60.2) if isinstance(each, Output)]


def test_nor_is_its_name_believed_on_another_port() -> None:
    scene = leased()
    asked(scene, 60.0)

    assert scene.actions(reply(GOOD, NAK), P2, 60.1) == ()


def test_a_server_that_is_silent_for_three_tries_is_not_waited_for() -> None:
    scene = leased()
    asked(scene, 60.0)
    asked(scene, 62.0)

    assert scene.actions(reply(ROGUE, OFFER), P2, 59.9 + SILENT_S) == ()
    assert scene.actions(reply(ROGUE, OFFER), P2, 60.0 + SILENT_S) == out(LOCAL)


def test_an_answer_that_was_not_asked_for_proves_no_server() -> None:
    scene = Scene()
    asked(scene, 1.0)
    scene.receive(reply(ROGUE, xid=b"none"), P2, 1.0)
    scene.receive(reply(GOOD), P1, 1.1)
    scene.receive(reply(ROGUE), P2, 1.2)

    scene.pipeline.lease_servers.channel_works()
    asked(scene, 60.0)

    assert scene.actions(reply(GOOD), P1, 60.0) == out(LOCAL)
    assert scene.actions(reply(ROGUE), P2, 60.0) == ()


def test_without_a_lease_nothing_is_withheld() -> None:
    scene = Scene()

    assert not scene.pipeline.lease_servers.channel_works()
    assert scene.actions(reply(ROGUE), P2) == out(LOCAL)


def test_once_a_server_is_proven_decisions_for_local_look_for_dhcp() -> None:
    scene = leased()
    scene.flow(Output(NORMAL))

    mask = scene.receive(packets.udp("10.0.0.9", "10.0.0.1", dst=US), P2, 2.0).mask

    assert mask & Match.of(udp_src=67).mask or mask & Match.of(udp_dst=68).mask


def test_a_trace_says_so_and_changes_nothing() -> None:
    scene, trace = leased(), Trace()
    asked(scene, 60.0)

    scene.receive(reply(ROGUE), P2, 60.1, trace=trace)

    assert "lease_contradicted" not in scene.pipeline.counters
    assert any("another DHCP server" in str(step) for step in trace.steps)


def offered(*servers: tuple[str, PortNo]) -> LeaseServers:
    """LOCAL has asked at 1.0, each of these has offered a network of its own, and the first has given it a lease."""
    scene = Scene()
    asked(scene, 1.0)
    for number, (server, port) in enumerate(servers):
        assert scene.actions(reply(server, OFFER, your_ip=f"10.{number}.0.9"), port, 1.0) == out(LOCAL)
    scene.actions(reply(servers[0][0], your_ip="10.0.0.9"), servers[0][1], 1.0)
    return scene.pipeline.lease_servers


def heard(servers: LeaseServers, server: str, kind: int, port: PortNo, now: float) -> bool:
    """Whether LOCAL gets this."""
    found = dhcp.read_reply(reply(server, kind))
    assert found is not None
    return servers.may_answer(found, port, now)


def test_a_lease_is_doubted_where_another_server_offers_another_network() -> None:
    assert offered((ROGUE, P2)).next_deadline() is None
    assert offered((ROGUE, P2), (GOOD, P1)).next_deadline() == 1.0 + DOUBT_FIRST_S


def test_servers_of_one_network_are_one() -> None:
    scene = Scene()
    asked(scene, 1.0)
    for server, port in ((ROGUE, P2), (GOOD, P1)):
        scene.actions(reply(server, OFFER), port, 1.0)
    scene.actions(reply(ROGUE), P2, 1.0)

    assert scene.pipeline.lease_servers.leased is not None
    assert scene.pipeline.lease_servers.next_deadline() is None


def test_whose_lease_is_doubted_is_withheld_until_no_other_one_answers() -> None:
    servers = offered((ROGUE, P2), (GOOD, P1))

    servers.doubt(11.0)
    servers.asks(b"\0\0\0\1", 11.0)

    assert not heard(servers, ROGUE, OFFER, P2, 11.0)
    assert heard(servers, GOOD, OFFER, P1, 11.0)
    assert not heard(servers, "10.0.0.67", NAK, P2, 11.0), "another name for the same"
    assert heard(servers, ROGUE, OFFER, P2, 11.0 + SILENT_S)


def test_each_server_has_its_turn_and_more_patience_in_each_round() -> None:
    servers, turns, now = offered((ROGUE, P2), ("10.0.0.67", P2), (GOOD, P1)), [], 1.0
    offers = [reply(server, OFFER, your_ip=f"10.{n}.0.9") for n, server in enumerate((ROGUE, "10.0.0.67", GOOD))]

    for _ in range(7):
        due = servers.next_deadline()
        assert due is not None
        turns.append(round(due - now))
        now = due
        servers.doubt(now)
        servers.asks(XID, now)
        for data, port in zip(offers, (P2, P2, P1), strict=True):
            told = dhcp.read_reply(data)
            assert told is not None
            servers.heard(told, port)
        left = [
            (told, port)
            for data, port in zip(offers, (P2, P2, P1), strict=True)
            if (told := dhcp.read_reply(data)) is not None and servers.may_answer(told, port, now)
        ]
        told, port = left[0]
        servers.answered(replace(told, is_lease=True), port, now)

    assert turns == [10, 10, 10, 20, 20, 40, 40]


def test_a_server_that_led_to_a_controller_is_not_doubted() -> None:
    servers = offered((ROGUE, P2), (GOOD, P1))

    assert servers.channel_works()

    assert servers.next_deadline() is None
