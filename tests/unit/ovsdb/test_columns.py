"""Facts become columns as Open vSwitch's manual has them."""

from __future__ import annotations

from typing import Any

import pytest

from inband.datapath.base import PortCounters
from inband.flow.ports import LOCAL, PortNo
from inband.host.events import LinkChanged
from inband.openflow.reconnect import State
from inband.ovsdb.columns import Facts, PortFacts, Values, interface, statistics, values_of
from inband.ovsdb.rows import WRITTEN
from inband.ovsdb.translate import translate
from inband.stp import events as ev
from inband.stp.settings import TreeSettings
from inband.stp.spanning_tree import SpanningTree
from inband.switch.status import ListenerStatus, OutgoingStatus
from inband.switch.targets import parse_target
from inband.vocabulary.addresses import Mac
from inband.vocabulary.link_settings import LinkSettings
from inband.vocabulary.openflow import PortFeatures, Role
from tests.unit.ovsdb.database import Database

LINK = LinkChanged(4, "eth1", Mac.parse("02:00:00:00:00:01"), up=True, running=False, mtu=1500)
GIGABIT = LinkSettings(current=PortFeatures.SPEED_1GB_FD, current_speed_kbps=1_000_000)


def values(database: Database, facts: Facts) -> Values:
    """The columns after a translation."""
    snapshot = database.snapshot()
    return values_of(snapshot, translate(snapshot), facts, 100.0)


@pytest.fixture
def database() -> Database:
    database = Database()
    database.root["next_cfg"] = 5
    database.bridge("br0", "eth1")
    return database


def outgoing(**given: Any) -> OutgoingStatus:
    """A controller that is connected since 10 s, but for what is given."""
    usual: dict[str, Any] = {
        "target": parse_target("tcp:192.0.2.1"), "state": State.ACTIVE, "is_connected": True, "role": Role.MASTER,
        "version": 4, "since": 90.0, "last_error": None, "last_error_at": 0.0, "next_try": None, "address": None,
        "addresses": (), "failures": {},
    }  # fmt: skip
    return OutgoingStatus(**{**usual, **given})


def test_the_number_that_is_waited_for_is_written_back(database: Database) -> None:
    root = values(database, Facts())["Open_vSwitch", "root"]

    assert root["cur_cfg"] == 5
    assert root["db_version"] == "8.3.1"


def test_a_bridge_has_its_id_and_what_is_wrong(database: Database) -> None:
    found = values(database, Facts(datapaths={"br0": (0xFF, "ebpf")}, errors={"br0": "no room"}))

    assert found["Bridge", "bridge-br0"] == {
        "datapath_id": ["00000000000000ff"],
        "datapath_version": "ebpf",
        "status": {"error": "no room"},
        "rstp_status": {},
    }
    assert found["Interface", "interface-br0"]["error"] == ["no room"]


def test_a_bridge_that_cannot_be_says_so(database: Database) -> None:
    database.bridge("a name that is too long")

    status = values(database, Facts())["Bridge", "bridge-a name that is too long"]["status"]

    assert "cannot be the name of an interface" in status["error"]


def test_an_interface_that_is_a_port(database: Database) -> None:
    found = values(database, Facts(ports={("br0", "eth1"): PortFacts(7, None, LINK, GIGABIT)}))

    assert found["Interface", "interface-eth1"] == {
        "ofport": [7],
        "error": [],
        "mac_in_use": ["02:00:00:00:00:01"],
        "mtu": [1500],
        "ifindex": [4],
        "admin_state": ["up"],
        "link_state": ["down"],
        "link_speed": [1_000_000_000],
        "duplex": ["full"],
    }
    assert found["Port", "port-eth1"]["status"] == {}


def test_an_interface_that_is_none(database: Database) -> None:
    found = values(database, Facts(ports={("br0", "eth1"): PortFacts(error="no such device")}))

    columns = found["Interface", "interface-eth1"]
    assert (columns["ofport"], columns["error"], columns["mtu"]) == ([-1], ["no such device"], [])
    assert found["Port", "port-eth1"]["status"] == {"error": "no such device"}


def test_the_local_port_has_its_number_of_16_bits() -> None:
    assert interface(PortFacts(int(LOCAL)), None)["ofport"] == [65534]


@pytest.mark.parametrize(
    ("status", "columns"),
    [
        (
            outgoing(),
            {"is_connected": True, "role": ["master"], "status": {"state": "ACTIVE", "sec_since_connect": "10"}},
        ),
        (
            outgoing(state=State.BACKOFF, is_connected=False, role=None, last_error="refused"),
            {
                "is_connected": False,
                "role": [],
                "status": {"state": "BACKOFF", "last_error": "refused", "sec_since_disconnect": "10"},
            },
        ),
        (
            ListenerStatus(parse_target("tcp:192.0.2.1"), has_sessions=True),
            {"is_connected": True, "role": [], "status": {"state": "ACTIVE"}},
        ),
    ],
)
def test_a_controller_is_as_its_channel(
    database: Database, status: OutgoingStatus | ListenerStatus, columns: dict[str, Any]
) -> None:
    database.controllers("br0", "tcp:192.0.2.1")

    assert values(database, Facts(channels={"br0": (status,)}))["Controller", "controller-tcp:192.0.2.1"] == columns


def test_a_name_without_an_address_says_so(database: Database) -> None:
    target = parse_target("tcp:c.example")
    database.controllers("br0", "tcp:c.example")
    status = outgoing(target=target, state=State.VOID, is_connected=False, role=None, since=None)

    found = values(database, Facts(channels={"br0": (status,)}))["Controller", "controller-tcp:c.example"]

    assert found["status"] == {
        "state": "VOID",
        "last_error": "no address of c.example is known: `inband show` says why",
    }


def test_a_target_that_cannot_be_parsed_says_so(database: Database) -> None:
    database.controllers("br0", "tpc:192.0.2.1")

    found = values(database, Facts())["Controller", "controller-tpc:192.0.2.1"]

    assert found["is_connected"] is False
    assert found["status"]["state"] == "VOID"
    assert "did you mean tcp:" in found["status"]["last_error"]


@pytest.mark.parametrize(
    ("channels", "is_connected", "status"),
    [
        ((), False, {"state": "IDLE", "last_error": "no neighbour with the network's key tells of a controller"}),
        (
            (outgoing(target=parse_target("tcp:192.0.2.1")),),  # one that a row of its own names
            False,
            {"state": "IDLE", "last_error": "no neighbour with the network's key tells of a controller"},
        ),
        (
            (
                outgoing(target=parse_target("tcp:192.0.2.7"), is_connected=False, state=State.BACKOFF, role=None),
                outgoing(target=parse_target("tcp:192.0.2.8")),
            ),
            True,
            {"state": "ACTIVE", "sec_since_connect": "10", "found": "tcp:192.0.2.7:6653 tcp:192.0.2.8:6653"},
        ),
    ],
)
def test_a_controller_auto_is_as_the_best_of_what_it_found(
    database: Database, channels: tuple[OutgoingStatus, ...], is_connected: bool, status: dict[str, str]
) -> None:
    database.controllers("br0", "auto", "tcp:192.0.2.1")
    database.row("Bridge", "bridge-br0", other_config={"inband-network-key": "/etc/key"})

    found = values(database, Facts(channels={"br0": channels}))["Controller", "controller-auto"]

    assert (found["is_connected"], found["status"]) == (is_connected, status)


def test_every_column_that_is_written_is_one_of_those_that_are_registered(database: Database) -> None:
    database.controllers("br0", "tcp:192.0.2.1")

    for (table, _), columns in values(database, Facts()).items():
        assert columns.keys() <= {*WRITTEN[table]}
    assert statistics(PortCounters(rx_packets=3)) == {
        "statistics": {
            "rx_packets": 3, "rx_bytes": 0, "rx_dropped": 0, "rx_errors": 0,
            "tx_packets": 0, "tx_bytes": 0, "tx_dropped": 0, "tx_errors": 0,
        }
    }  # fmt: skip


def test_the_spanning_tree_is_written_as_open_vswitch_writes_it(database: Database) -> None:
    tree = SpanningTree(Mac(0xFA58D20DC443), TreeSettings(4096))
    tree.handle(ev.PortChanged(PortNo(7), True, 2000), 0.0)
    tree.handle(ev.TimePassed(), 3.0)
    facts = Facts(ports={("br0", "eth1"): PortFacts(7, None, LINK, GIGABIT)}, trees={"br0": tree.status()})

    found = values(database, facts)

    assert found["Bridge", "bridge-br0"]["rstp_status"] == {
        "rstp_bridge_id": "1.000.fa58d20dc443",
        "rstp_bridge_port_id": "0000",
        "rstp_designated_id": "1.000.fa58d20dc443",
        "rstp_designated_port_id": "0000",
        "rstp_root_id": "1.000.fa58d20dc443",
        "rstp_root_path_cost": "0",
    }
    assert found["Port", "port-eth1"]["rstp_status"] == {
        "rstp_designated_bridge_id": "1.000.fa58d20dc443",
        "rstp_designated_path_cost": "0",
        "rstp_designated_port_id": "8007",
        "rstp_port_id": "8007",
        "rstp_port_role": "Designated",
        "rstp_port_state": "Forwarding",
    }
    assert found["Port", "port-br0"]["rstp_status"] == {}
    assert set(found["Port", "port-eth1"]["rstp_statistics"]) == {
        *("rstp_error_count", "rstp_rx_count", "rstp_tx_count", "rstp_uptime")
    }
