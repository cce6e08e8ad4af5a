"""Known unicast skips a port where nothing is lost by it, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from inband.datapath.ebpf.datapath import EbpfDatapath
from inband.packet.checksum import segment
from inband.packet.frame import Frame
from inband.testing import packets
from lab.journal import until
from tests.packets.columns import PATIENCE_S
from tests.system.peer_rig import LONG, NOWHERE, P2, SHORT, inside, learned, pings, rig_of, row_of, say, ways
from tests.system.switch_rig import Rig

pytestmark = pytest.mark.root

SHAPED = "tc qdisc add dev p2 root tbf rate 1gbit burst 200kb latency 100ms"
HTB = "tc qdisc add dev p2 root handle 1: htb default 1"


# A whole switch


@pytest.fixture
def rig() -> Iterator[Rig]:
    with rig_of() as standing:
        yield standing


def test_known_unicast_skips_the_port_and_is_counted(rig: Rig) -> None:
    assert pings(rig) == SHORT


def test_floods_and_unknown_destinations_do_not(rig: Rig) -> None:
    rig.h1.ip(f"neigh replace 10.0.0.99 lladdr {NOWHERE} dev eth0 nud permanent")

    assert ways(rig, lambda: rig.h1.pings("10.0.0.99", count=5, wait_s=0.1)) == (5, 5)
    asked, through_the_port = ways(rig, lambda: rig.h1.pings("10.0.0.98", count=1, wait_s=0.1))  # by ARP

    assert asked == through_the_port > 0


@pytest.mark.parametrize("shaper", [SHAPED, HTB], ids=["tbf", "htb"])
def test_a_queue_that_was_there_before_is_not_skipped(shaper: str) -> None:
    with rig_of(before=shaper) as rig:
        assert pings(rig) == LONG


@pytest.mark.parametrize(
    ("add", "remove"),
    [
        (SHAPED, "tc qdisc del dev p2 root"),
        (HTB, "tc qdisc del dev p2 root"),
        ("tc filter add dev p2 egress prio 9 bpf da bytecode 1,6_0_0_0", "tc filter del dev p2 egress prio 9"),
        ("ethtool -K p2 tx off", "ethtool -K p2 tx on"),
        ("ethtool -K p2 tso off", "ethtool -K p2 tso on"),
    ],
    ids=["tbf", "htb", "egress filter", "checksums", "segments"],
)
def test_what_is_put_at_the_port_later_is_not_skipped_until_it_is_gone(rig: Rig, add: str, remove: str) -> None:
    rig.box.run(*(word.replace("_", " ") for word in add.split()))
    assert until(lambda: pings(rig) == LONG, PATIENCE_S)

    rig.box.run(*remove.split())

    assert until(lambda: pings(rig) == SHORT, PATIENCE_S)


def test_a_host_moved_into_the_switchs_namespace_goes_on_hearing(rig: Rig) -> None:
    mac = rig.h2.mac("eth0")
    rig.h2.ip(f"link set eth0 netns {rig.box.name} name moved")
    rig.box.ip("link set moved up")
    assert until(lambda: "p2" in rig.ports() and _says_and_is_learned(rig, mac), PATIENCE_S)

    before = rig.box.counter("moved", "rx_packets")
    count, through_the_port = ways(rig, lambda: rig.h1.pings("10.0.0.12", count=50, interval_s=0.01, wait_s=0.1))

    assert count == 50
    assert rig.box.counter("moved", "rx_packets") - before >= 45
    assert through_the_port >= 45


def _says_and_is_learned(rig: Rig, mac: str) -> bool:
    """Have a host that was moved say something, and see whether the switch knows where it is."""
    say(rig.box, "moved", mac)
    return learned(rig, mac, 2)


def test_a_host_that_is_down_and_up_again_is_short_again(rig: Rig) -> None:
    rig.h2.ip("link set eth0 down", "link set eth0 up")
    mac = rig.h1.mac("eth0")
    rig.h2.ip(f"neigh replace 10.0.0.11 lladdr {mac} dev eth0 nud permanent")

    assert until(lambda: rig.h1.pings("10.0.0.12", count=1) == 1, PATIENCE_S)
    assert until(lambda: pings(rig) == SHORT, PATIENCE_S)


def test_the_configuration_turns_it_off_and_on_without_a_restart() -> None:
    with rig_of("peer-redirect = false\n") as rig:
        assert pings(rig) == LONG
        rig.call("inband/set", "br0", "peer-redirect=on")
        assert pings(rig) == SHORT
        rig.call("inband/reload")
        assert pings(rig) == LONG


def test_tcp_passes_with_its_checksums_and_segments_left_to_the_card(rig: Rig) -> None:
    rig.h2.start("iperf3", "-s", "-1")
    found: list[float] = []

    def transfer() -> None:
        shown = ""
        for _ in range(50):
            shown = rig.h1.run("iperf3", "-J", "-n", "100M", "-c", "10.0.0.12", check=False)
            if "sum_received" in shown:
                break
        found.append(json.loads(shown)["end"]["sum_received"]["bytes"])

    count, through_the_port = ways(rig, transfer)

    assert found[0] >= 80e6, "iperf3 counts what was received when the last byte was sent: some are still under way"
    assert count > 50_000
    assert through_the_port < count / 1000


# The datapath by itself

FRAMES = {
    "plain": Frame(packets.tcp(payload=bytes(100))),
    "tagged": Frame(packets.vlan(packets.tcp(payload=bytes(100)), 5, 3)),
    "checksum left to the card": packets.offloaded(packets.udp(payload=bytes(100))),
    "segments left to the card": packets.offloaded(packets.tcp(payload=bytes(5000)), gso_size=1000),
    "tagged segments": packets.offloaded(packets.vlan(packets.tcp(payload=bytes(5000)), 5), gso_size=1000),
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_arrives_as_it_was_sent(name: str) -> None:
    with row_of(1) as row:
        row.send(FRAMES[name])

        frame, is_for_host = row.taken()

        assert [each.data for each in segment(frame)] == [each.data for each in segment(FRAMES[name])]
        assert frame.offload == FRAMES[name].offload
        assert is_for_host
        assert row.through_ports() == [0]
        assert row.datapaths[0].port_counters(P2).tx_packets == FRAMES[name].segments


def test_of_two_switches_in_a_row_only_one_skips_its_port() -> None:
    """In a circle the kernel would never get out of it."""
    with row_of(3) as row:
        for _ in range(5):
            row.send(FRAMES["plain"])
            assert row.taken()[0] == FRAMES["plain"]

        assert row.through_ports() == [0, 5, 0]
        assert [each.port_counters(P2).tx_packets for each in row.datapaths] == [5, 5, 5]


def test_a_frame_too_large_for_the_port_is_counted_and_not_sent() -> None:
    with row_of(1) as row:
        row.send(Frame(packets.ethernet(0x88B5, bytes(1400))))
        assert len(row.taken()[0].data) == 1414
        row.switches[0].ip("link set p2 mtu 1300")

        row.send(Frame(packets.ethernet(0x88B5, bytes(1400))))
        row.send(FRAMES["plain"])

        assert row.taken()[0] == FRAMES["plain"]
        assert row.datapaths[0].counters()["tx_too_big"] == 1


def test_nothing_is_skipped_unless_it_is_allowed() -> None:
    with row_of(1) as row:
        with inside(row.switches[0]):
            row.datapaths[0].set_peer_redirect(allowed=False)

        row.send(FRAMES["plain"])

        assert row.taken() == (FRAMES["plain"], False)
        assert row.through_ports() == [1]


def test_a_port_that_is_set_down_is_not_skipped_for_all_that() -> None:
    with row_of(1) as row:
        switch = row.switches[0]
        switch.ip("link set p2 down")
        with inside(switch):
            row.datapaths[0].look_at_interface(None)

        row.send(FRAMES["plain"])
        switch.ip("link set p2 up")
        row.send(FRAMES["tagged"])

        assert row.taken()[0] == FRAMES["tagged"]


def test_after_a_process_that_died_the_next_one_looks_for_itself(tmp_path: Path) -> None:
    with row_of(1, tmp_path / "pins") as row:
        row.datapaths[0].abandon()
        row.send(FRAMES["plain"])
        assert row.taken() == (FRAMES["plain"], True)

        with inside(row.switches[0]):
            row.datapaths[0] = EbpfDatapath(pin_dir=tmp_path / "pins")
        row.send(FRAMES["plain"])

        assert row.taken() == (FRAMES["plain"], False)
