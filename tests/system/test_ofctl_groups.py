"""The real ovs-ofctl makes groups, meters and 1.0's VLAN actions, and real packets go through them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from lab.journal import until
from lab.net import CommandError, Lab
from tests.system.test_ofctl import Desk

pytestmark = pytest.mark.root

V13 = "OpenFlow13"
BACK = "in_port=2,actions=output:1"


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    with Lab("ihc") as lab:
        yield Desk(lab)


@pytest.fixture(autouse=True)
def empty(desk: Desk) -> None:
    """Before each test: no groups, no meters, and one flow for the way back."""
    for command in ("del-flows", "del-groups", "del-meters"):
        desk.ofctl(V13, command)
    desk.ofctl(V13, "add-flow", BACK)


def group(desk: Desk, text: str, command: str = "add-group") -> None:
    """Make or change a group."""
    desk.ofctl(V13, command, text)


def bucket_packets(desk: Desk, number: int = 1) -> list[int]:
    """Packets of each bucket of a group."""
    stats = desk.ofctl(V13, "dump-group-stats", f"group_id={number}")
    return [int(count) for count in re.findall(r"bucket\d+:packet_count=(\d+)", stats)]


@pytest.mark.parametrize(
    "text",
    [
        "group_id=1,type=all,bucket=output:1,bucket=output:2",
        "group_id=1,type=indirect,bucket=output:2",
        "group_id=1,type=select,bucket=weight:1,output:2,bucket=weight:2,output:2",
        "group_id=1,type=ff,bucket=watch_port:77,output:1,bucket=watch_port:2,output:2",
    ],
)
def test_packets_pass_groups_of_every_type_and_are_counted(desk: Desk, text: str) -> None:
    group(desk, text)
    desk.ofctl(V13, "add-flow", "icmp,in_port=1,actions=group:1")

    assert desk.passes()

    stats = desk.ofctl(V13, "dump-group-stats")
    assert "group_id=1" in stats
    assert "ref_count=1" in stats
    assert "packet_count=3,byte_count=294" in stats
    assert max(bucket_packets(desk)) == 3


def test_a_group_is_shown_as_it_was_made_and_changed_while_packets_pass(desk: Desk) -> None:
    group(desk, "group_id=7,type=all,bucket=output:2")
    group(desk, "group_id=8,type=indirect,bucket=mod_nw_tos:4,group:7")
    desk.ofctl(V13, "add-flow", "in_port=1,actions=group:8")
    assert desk.passes()

    group(desk, "group_id=7,type=all", "mod-group")
    assert desk.is_cut()
    group(desk, "group_id=7,type=select,bucket=weight:5,output:2", "mod-group")
    assert desk.passes()

    dump = desk.ofctl(V13, "dump-groups")
    assert re.search(r"group_id=7,type=select,bucket=.*weight:5,.*actions=output:2", dump)
    assert re.search(r"group_id=8,type=indirect,bucket=.*actions=.*group:7", dump)


def test_a_bucket_whose_port_loses_its_link_is_passed_over_and_taken_again(desk: Desk) -> None:
    group(desk, "group_id=1,type=ff,bucket=watch_port:2,output:2,bucket=watch_port:1,output:LOCAL")
    desk.ofctl(V13, "add-flow", "icmp,in_port=1,actions=group:1")
    assert desk.passes()

    desk.other.ip("link set eth0 down")
    assert until(lambda: desk.is_cut() and bucket_packets(desk)[1] > 0, 5.0)
    desk.other.ip("link set eth0 up", f"neigh replace 10.9.0.1 lladdr {desk.host.mac('eth0')} dev eth0")

    assert until(desk.passes, 5.0)


def test_a_port_put_down_by_the_controller_is_passed_over(desk: Desk) -> None:
    group(desk, "group_id=1,type=ff,bucket=watch_port:2,output:LOCAL,bucket=watch_port:1,output:2")
    desk.ofctl(V13, "add-flow", "icmp,in_port=1,actions=group:1")
    assert desk.is_cut()

    try:
        desk.ofctl(V13, "mod-port", "p2", "down")
        desk.is_cut()
        assert bucket_packets(desk)[1] > 0
    finally:
        desk.ofctl(V13, "mod-port", "p2", "up")


def test_flows_go_with_their_group_and_a_monitor_hears_why(desk: Desk) -> None:
    monitor = desk.monitor(V13)
    try:
        group(desk, "group_id=1,type=all,bucket=output:2")
        desk.ofctl(V13, "add-flow", "send_flow_rem,in_port=1,actions=group:1")

        desk.ofctl(V13, "del-groups", "group_id=1")

        assert until(lambda: "reason=group_delete" in monitor.tail(), 5.0)
        assert len(desk.flows(V13)) == 1
    finally:
        monitor.stop()


@pytest.mark.parametrize(
    ("command", "text", "error"),
    [
        ("add-group", "group_id=1,type=all", "OFPGMFC_GROUP_EXISTS"),
        ("add-group", "group_id=9,type=all,bucket=group:5", "OFPBAC_BAD_OUT_GROUP"),
        ("mod-group", "group_id=1,type=all,bucket=group:2", "OFPGMFC_LOOP"),
        ("mod-group", "group_id=5,type=all", "OFPGMFC_UNKNOWN_GROUP"),
        ("del-groups", "group_id=1", "OFPGMFC_CHAINED_GROUP"),
        ("add-meter", "meter=1,kbps,band=type=drop,rate=9", "OFPMMFC_METER_EXISTS"),
        ("mod-meter", "meter=2,kbps,band=type=drop,rate=9", "OFPMMFC_UNKNOWN_METER"),
        ("add-flow", "actions=meter:9,output:1", "OFPMMFC_INVALID_METER"),
    ],
)
def test_what_cannot_be_is_refused_by_name(desk: Desk, command: str, text: str, error: str) -> None:
    group(desk, "group_id=1,type=all,bucket=output:1")
    group(desk, "group_id=2,type=all,bucket=group:1")
    desk.ofctl(V13, "add-meter", "meter=1,kbps,band=type=drop,rate=9")

    with pytest.raises(CommandError, match=error):
        desk.ofctl(V13, command, text)


def test_a_meter_lets_packets_pass_at_its_rate_and_counts_them(desk: Desk) -> None:
    desk.ofctl(V13, "add-meter", "meter=1,pktps,burst,stats,band=type=drop,rate=1,burst_size=2")
    desk.ofctl(V13, "add-flow", "icmp,in_port=1,actions=meter:1,output:2")

    assert desk.host.pings("10.9.0.2", count=10, interval_s=0.02, wait_s=0.3) == 2

    stats = desk.ofctl(V13, "meter-stats")
    assert re.search(r"meter:1 flow_count:1 packet_in_count:10 byte_in_count:980 ", stats)
    assert re.search(r"0: packet_count:8 byte_count:784", stats)
    assert "meter=1 pktps burst stats bands=" in desk.ofctl(V13, "dump-meters")


def test_a_meter_can_be_changed_and_goes_with_its_flows(desk: Desk) -> None:
    desk.ofctl(V13, "add-meter", "meter=1,pktps,burst,band=type=drop,rate=1,burst_size=1")
    desk.ofctl(V13, "add-flow", "icmp,in_port=1,actions=meter:1,output:2")
    assert not desk.passes()

    desk.ofctl(V13, "mod-meter", "meter=1,pktps,burst,band=type=drop,rate=1000,burst_size=1000")
    assert desk.passes()
    desk.ofctl(V13, "del-meter", "meter=1")
    assert desk.is_cut()
    assert len(desk.flows(V13)) == 1


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("dump-group-features", r"Types:  0xf\n    Capabilities:  0xf\n"),
        ("meter-features", r"band_types: drop dscp_remark\s+capabilities: kbps pktps burst stats"),
        ("dump-table-features", r"meter"),
        ("show", r"GROUP_STATS"),
    ],
)
def test_features_tell_the_truth(desk: Desk, command: str, expected: str) -> None:
    assert re.search(expected, desk.ofctl(V13, command), re.DOTALL)


def test_1_0_sets_a_vlan_of_untagged_packets(desk: Desk) -> None:
    v10 = "OpenFlow10"
    desk.ofctl(v10, "add-flow", "in_port=1,actions=mod_vlan_vid:5,mod_vlan_pcp:3,resubmit(,1)")
    desk.ofctl(v10, "add-flow", "table=1,dl_vlan=5,dl_vlan_pcp=3,actions=strip_vlan,output:2")

    assert desk.passes()
    assert "actions=mod_vlan_vid:5,mod_vlan_pcp:3,resubmit(,1)" in desk.ofctl(v10, "dump-flows", "table=0")


def test_queues_of_the_system_are_shown_used_and_counted(desk: Desk) -> None:
    desk.box.run("tc", "qdisc", "add", "dev", "p2", "root", "handle", "1:", "htb", "default", "1")
    try:
        for minor, rate in (("1:1", "100mbit"), ("1:6", "1gbit")):
            desk.box.run("tc", "class", "add", "dev", "p2", "parent", "1:", "classid", minor, "htb", "rate", rate)
        desk.ofctl(V13, "add-flow", "icmp,in_port=1,actions=set_queue:5,output:2")

        assert desk.passes()

        assert re.search(r"port 2 queue 5: bytes=294, pkts=3, errors=0", desk.ofctl(V13, "queue-stats", "2", "5"))
        assert "2 queues" in desk.ofctl(V13, "queue-stats", "2")
        assert re.search(r"port=2.*queue 0.*queue 5", desk.ofctl(V13, "queue-get-config", "2"), re.DOTALL)
        assert "OFPQOFC_BAD_QUEUE" in desk.ofctl(V13, "queue-stats", "2", "9")
    finally:
        desk.box.run("tc", "qdisc", "del", "dev", "p2", "root")
