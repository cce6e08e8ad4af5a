"""Which DHCP server LOCAL listens to, once a lease has led to a controller."""

from __future__ import annotations

from inband.flow.actions import Output
from inband.flow.match import Match
from inband.flow.ports import LOCAL, NORMAL, PortNo
from inband.packet import dhcp
from inband.packet.dhcp import DhcpReply
from inband.pipeline.lease_servers import SILENT_S
from inband.pipeline.trace import Trace
from inband.testing import packets
from inband.vocabulary.addresses import Mac
from tests.unit.pipeline.scene import P1, P2, US, Scene, out

ACK, OFFER, NAK = 5, 2, 6
XID = b"\x12\x34\x56\x78"
GOOD, ROGUE = "10.0.0.254", "10.0.0.66"


def reply(server: str, kind: int = ACK, xid: bytes = XID) -> bytes:
    """What a server says to this switch's client."""
    options = bytes((53, 1, kind, 54, 4, *map(int, server.split(".")), 255))
    frame = packets.dhcp_reply(chaddr=US)
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

    assert dhcp.read_reply(reply(GOOD)) == DhcpReply(Mac.parse(US), XID, server, is_lease=True)
    assert dhcp.read_reply(reply(GOOD, OFFER)) == DhcpReply(Mac.parse(US), XID, server, is_lease=False)
    assert dhcp.read_reply(packets.dhcp_reply(chaddr=US)) == DhcpReply(Mac.parse(US), XID, 0, is_lease=True)


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
