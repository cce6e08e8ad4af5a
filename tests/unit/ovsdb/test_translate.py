"""Rows become a configuration; what is wrong with one is said of it, and costs no other one."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inband.flow.membership import VlanMembership, VlanMode
from inband.flow.ports import PortNo
from inband.ovsdb.rows import READ, Row, Snapshot
from inband.ovsdb.translate import translate
from inband.switch.config import BridgeConfig, DatapathKind, FailMode, Protection, SwitchConfig, checked
from inband.switch.manager_targets import parse_manager
from inband.switch.targets import AUTO, parse_target
from inband.vocabulary.addresses import Mac
from tests.unit.ovsdb.database import Database


@pytest.fixture
def database() -> Database:
    return Database()


def only_bridge(database: Database) -> BridgeConfig:
    """The one bridge that the rows ask for."""
    (bridge,) = translate(database.snapshot()).bridges
    return bridge


def problems(database: Database) -> dict[str, str]:
    """What is wrong, by UUID."""
    return {uuid: words for (_, uuid), words in translate(database.snapshot()).problems.items()}


# Bridges ------------------------------------------------------------------------------------------------------------


def test_a_plain_bridge_has_its_ports_and_open_vswitchs_defaults(database: Database) -> None:
    database.bridge("br0", "eth2", "eth1")

    assert only_bridge(database) == BridgeConfig("br0", ("eth1", "eth2"))
    assert problems(database) == {}


def test_columns_of_a_bridge_are_its_settings(database: Database) -> None:
    database.bridge(
        "br0",
        fail_mode=("secure",),
        protocols=("OpenFlow13", "OpenFlow15"),
        datapath_type="netdev",
        other_config={
            "datapath-id": "00000000000000ff",
            "hwaddr": "02:00:00:00:00:01",
            "disable-in-band": "true",
            "in-band-queue": "3",
            "inband-address": "192.0.2.2/24,dhcpv6",
            "inband-control-vlan": "10",
            "something-of-others": "x",
        },
    )

    assert only_bridge(database) == BridgeConfig(
        "br0",
        fail_mode=FailMode.SECURE,
        openflow_versions=(4,),
        datapath=DatapathKind.USERSPACE,
        datapath_id=0xFF,
        mac=Mac.parse("02:00:00:00:00:01"),
        in_band=False,
        queue=3,
        addresses=(ip_interface("192.0.2.2/24"),),
        dhcpv6=True,
        control_vlan=10,
    )
    assert problems(database) == {}


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"other_config": {"datapath-id": "x"}}, "datapath-id: 'x' is not allowed"),
        ({"other_config": {"hwaddr": "ff:ff:ff:ff:ff:ff"}}, "mac: "),
        ({"other_config": {"in-band-queue": "-1"}}, "queue: '-1' is not allowed"),
        ({"other_config": {"inband-port": "eth9"}}, "inband-port: unknown key"),
        ({"protocols": ("OpenFlow15",)}, "this switch speaks OpenFlow10 and OpenFlow13"),
        ({"datapath_type": "dpdk"}, "unknown datapath_type 'dpdk'"),
        ({"mcast_snooping_enable": True}, "mcast_snooping_enable is not supported"),
        (
            {"other_config": {"rstp-priority": "70000"}},
            "rstp-priority: priority '69632' is not allowed: multiples of 4096",
        ),
        ({"other_config": {"rstp-address": "x"}}, "rstp-address: not supported, and without effect"),
        ({"other_config": {"rstp-max-age": "5"}}, "rstp-max-age '5' is not allowed: 6 to 40 seconds"),
        ({"other_config": {"rstp-forward-delay": "4"}}, "rstp-max-age is at most twice forward-delay less a second"),
        ({"netflow": ("n",)}, "netflow: not supported"),
        ({"other_config": {"inband-gateway": "9.9.9.9", "inband-address": "192.0.2.2/24"}}, "gateway 9.9.9.9 is in"),
    ],
)
def test_what_a_bridge_cannot_have_is_said_and_the_rest_takes_effect(
    database: Database, columns: dict[str, Any], words: str
) -> None:
    database.bridge("br0", "eth1", **columns)

    assert only_bridge(database).ports == ("eth1",)
    assert words in problems(database)["bridge-br0"]


def test_a_gateway_in_no_network_of_the_bridge_costs_its_addresses_nothing(database: Database) -> None:
    database.bridge("br0", other_config={"inband-gateway": "9.9.9.9", "inband-address": "192.0.2.2/24"})

    bridge = only_bridge(database)

    assert bridge.gateway is None
    assert bridge.addresses == (ip_interface("192.0.2.2/24"),)


def test_the_mac_of_its_own_interface_is_the_bridges(database: Database) -> None:
    database.bridge("br0")
    database.row("Interface", "interface-br0", mac=("02:00:00:00:00:07",))

    assert only_bridge(database).mac == Mac.parse("02:00:00:00:00:07")

    database.row("Interface", "interface-br0", mac=("rubbish",))

    assert only_bridge(database).mac is None
    assert "mac: " in problems(database)["interface-br0"]


def test_the_file_says_what_rows_do_not(database: Database) -> None:
    database.bridge("br0", "eth1")
    base = BridgeConfig("br0", ("eth9",), addresses=(ip_interface("192.0.2.2/24"),), control_vlan=10)

    (bridge,) = translate(database.snapshot(), {"br0": base}).bridges

    assert bridge.ports == ("eth1",)
    assert bridge.control_vlan == 10
    assert bridge.addresses == (ip_interface("192.0.2.2/24"),)


def test_a_bridge_of_another_switch_is_not_this_ones(database: Database) -> None:
    database.bridge("br1", "eth1", other_config={"inband-switch": "s1"})
    database.bridge("br2", "eth2", other_config={"inband-switch": "s2"})
    database.bridge("br3")

    assert [bridge.name for bridge in translate(database.snapshot(), None, "s2").bridges] == ["br2", "br3"]
    assert translate(database.snapshot(), None, "s2").problems == {}


def test_the_lowest_flow_limit_holds_for_all_tables(database: Database) -> None:
    database.row("Flow_Table", "t0", flow_limit=(500,))
    database.row("Flow_Table", "t1", flow_limit=(100,), overflow_policy=("evict",))
    database.bridge("br0", flow_tables={"0": "t0", "1": "t1"})

    assert only_bridge(database).flow_limit == 100
    assert "not evicted" in problems(database)["bridge-br0"]


# Ports --------------------------------------------------------------------------------------------------------------


def test_a_port_in_two_bridges_stays_in_the_first(database: Database) -> None:
    database.bridge("br0", "eth1")
    database.bridge("br1", "eth1", "eth2")

    assert [bridge.ports for bridge in translate(database.snapshot()).bridges] == [("eth1",), ("eth2",)]
    assert problems(database) == {"bridge-br1": "interface eth1 is in bridge br0, and stays there"}


def test_a_port_named_like_another_bridge_is_refused(database: Database) -> None:
    database.bridge("br0", "eth1")
    database.bridge("br1")
    database.row("Bridge", "bridge-br0", ports=("port-br0", "port-eth1", "port-br1"))

    assert [bridge.ports for bridge in translate(database.snapshot()).bridges] == [("eth1",), ()]
    assert "br1 is the interface of a bridge itself" in problems(database)["interface-br1"]


def test_a_port_of_a_bridge_of_the_file_stays_there(database: Database) -> None:
    database.bridge("br0", "eth1", "eth2")

    wanted = translate(database.snapshot(), {"br9": BridgeConfig("br9", ("eth1",))})

    assert [bridge.ports for bridge in wanted.bridges] == [("eth2",)]
    assert wanted.problems["Bridge", "bridge-br0"] == "interface eth1 is in bridge br9, and stays there"


@pytest.mark.parametrize(
    ("port", "interface", "words"),
    [
        ({"tag": (5000,)}, {}, "VLAN 5000 is not allowed"),
        ({"trunks": (10, 4096)}, {}, "VLAN 4096 is not allowed"),
        ({"tag": (1,), "vlan_mode": ("dot1q-tunnel",)}, {}, "vlan_mode dot1q-tunnel is not supported"),
        ({}, {"type": "gtpu"}, "could not open network device eth1: type gtpu is not supported"),
        ({}, {"name": "a/b"}, "cannot be the name of an interface"),
    ],
)
def test_a_port_that_cannot_be_is_left_out_and_says_why(
    database: Database, port: dict[str, Any], interface: dict[str, Any], words: str
) -> None:
    database.bridge("br0", "eth1", "eth2")
    database.port("eth1", **port)
    database.row("Interface", "interface-eth1", **interface)

    assert only_bridge(database).ports == ("eth2",)
    found = problems(database)
    assert words in found["interface-eth1"]
    assert words in found["port-eth1"]


@pytest.mark.parametrize(
    ("port", "member"),
    [
        ({}, ()),
        ({"tag": (10,)}, (("eth1", VlanMembership(VlanMode.ACCESS, 10)),)),
        ({"tag": (10,), "trunks": (20,)}, (("eth1", VlanMembership(VlanMode.ACCESS, 10)),)),
        ({"vlan_mode": ("access",)}, (("eth1", VlanMembership(VlanMode.ACCESS, 0)),)),
        ({"trunks": (10, 20)}, (("eth1", VlanMembership(VlanMode.TRUNK, None, frozenset({10, 20}))),)),
        ({"tag": (1,), "vlan_mode": ("trunk",)}, (("eth1", VlanMembership(VlanMode.TRUNK)),)),
        (
            {"tag": (1,), "trunks": (10,), "vlan_mode": ("native-untagged",)},
            (("eth1", VlanMembership(VlanMode.NATIVE_UNTAGGED, 1, frozenset({10}))),),
        ),
    ],
    ids=str,
)
def test_a_port_is_in_the_vlans_that_its_row_names(
    database: Database, port: dict[str, Any], member: tuple[tuple[str, VlanMembership], ...]
) -> None:
    database.bridge("br0", "eth1")
    database.port("eth1", **port)

    assert only_bridge(database).port_vlans == member
    assert problems(database) == {}


def test_the_tag_of_a_bridges_own_interface_is_the_vlan_of_control(database: Database) -> None:
    database.bridge("br0", "br0", "eth1")
    database.port("br0", tag=(10,))

    assert only_bridge(database).control_vlan == 10

    database.port("br0", tag=(), trunks=(10, 20))

    assert only_bridge(database).control_vlan is None
    assert "a bridge's own interface" in problems(database)["port-br0"]


def test_vlans_that_only_the_file_has_are_those_of_the_files_ports(database: Database) -> None:
    database.bridge("br0", "eth2")
    of_the_file = BridgeConfig("br0", ("eth1",), port_vlans=(("eth1", VlanMembership(VlanMode.ACCESS, 10)),))

    wanted = translate(database.snapshot(), {"br0": of_the_file})

    assert [(bridge.ports, bridge.port_vlans) for bridge in wanted.bridges] == [(("eth2",), ())]


def test_a_bond_is_refused(database: Database) -> None:
    database.bridge("br0", "bond0")
    database.row("Interface", "interface-eth1", name="eth1")
    database.row("Port", "port-bond0", interfaces=("interface-bond0", "interface-eth1"))

    assert only_bridge(database).ports == ()
    assert "bonds are not supported" in problems(database)["port-bond0"]


def test_a_port_with_policing_is_one_and_says_that_it_has_none(database: Database) -> None:
    database.bridge("br0", "eth1")
    database.row("Interface", "interface-eth1", ingress_policing_rate=1000)

    assert only_bridge(database).ports == ("eth1",)
    assert "use a meter" in problems(database)["port-eth1"]


def test_numbers_are_those_that_are_asked_for_unless_another_has_them(database: Database) -> None:
    database.bridge("br0", "eth1", "eth2", "eth3")
    for name, number in (("eth1", 7), ("eth2", 7), ("eth3", 70000)):
        database.row("Interface", f"interface-{name}", ofport_request=(number,))

    assert only_bridge(database).port_numbers == (("eth1", PortNo(7)),)
    assert "eth1 has that number" in problems(database)["interface-eth2"]
    assert "numbers are 1 to" in problems(database)["interface-eth3"]


# Controllers, managers, TLS -----------------------------------------------------------------------------------------


def test_controllers_have_targets_and_bridges_their_limits(database: Database) -> None:
    database.bridge("br0")
    database.controllers("br0", "tcp:192.0.2.1", "tcp:192.0.2.2:6654", max_backoff=(2000,), inactivity_probe=(15000,))
    database.row("Controller", "controller-tcp:192.0.2.1", connection_mode=("out-of-band",), inactivity_probe=(9000,))

    bridge = only_bridge(database)

    assert bridge.controllers == (parse_target("tcp:192.0.2.1,out-of-band"), parse_target("tcp:192.0.2.2:6654"))
    assert (bridge.max_backoff_s, bridge.inactivity_probe_s) == (2.0, 9.0)


@pytest.mark.parametrize(("probe", "seconds"), [(0, 0.0), (1, 0.1), (-5, 0.0), (10**9, 3600.0)])
def test_a_probe_interval_that_is_out_of_range_is_brought_into_it(
    database: Database, probe: int, seconds: float
) -> None:
    database.bridge("br0")
    database.controllers("br0", "tcp:192.0.2.1", inactivity_probe=(probe,))

    assert only_bridge(database).inactivity_probe_s == seconds


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("tpc:192.0.2.1", "did you mean tcp:"),
        ("tcp:300.1.2.3", "neither an address nor a host name"),
        ("", "does not say how to connect"),
        ("ssl:192.0.2.1", "ovs-vsctl set-ssl"),
        ("tcp:192.0.2.9:6653", "is listed twice"),
    ],
)
def test_a_target_that_cannot_be_used_is_said_and_the_others_are_dialled(
    database: Database, target: str, words: str
) -> None:
    database.bridge("br0")
    database.controllers("br0", "tcp:192.0.2.9", target)

    assert only_bridge(database).controllers == (parse_target("tcp:192.0.2.9"),)
    assert words in problems(database)[f"controller-{target}"]


@pytest.mark.parametrize(
    ("mask", "address"),
    [(("255.255.255.128",), "192.0.2.2/25"), ((), "192.0.2.2/24")],
)
def test_a_controllers_local_address_is_the_bridges(database: Database, mask: tuple[str, ...], address: str) -> None:
    database.bridge("br0")
    local = {"local_ip": ("192.0.2.2",), "local_netmask": mask, "local_gateway": ("192.0.2.126",)}
    database.controllers("br0", "tcp:192.0.2.1", **local)

    bridge = only_bridge(database)

    assert bridge.addresses == (ip_interface(address),)
    assert bridge.gateway == ip_address("192.0.2.126")


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"local_ip": ("192.0.2.300",)}, "192.0.2.300"),
        ({"local_ip": ("224.0.0.1",)}, "224.0.0.1"),
        ({"local_gateway": ("x",)}, "'x' is not an IP address"),
    ],
)
def test_a_local_address_that_is_none_is_said(database: Database, columns: dict[str, Any], words: str) -> None:
    database.bridge("br0")
    database.controllers("br0", "tcp:192.0.2.1", **columns)

    assert only_bridge(database).controllers == (parse_target("tcp:192.0.2.1"),)
    assert words in problems(database)["controller-tcp:192.0.2.1"]


def test_managers_that_are_dialled_are_protected(database: Database) -> None:
    targets = ("ssl:192.0.2.9", "tcp:192.0.2.8:6641", "tcp:[2001:db8::1]", "ptcp:6640", "punix:/run/x", "tcp:192.0.2.7")
    uuids = tuple(database.row("Manager", text, target=text) for text in targets)
    database.row("Manager", "tcp:192.0.2.7", connection_mode=("out-of-band",))
    database.root["manager_options"] = uuids

    managers = translate(database.snapshot()).managers

    assert set(managers) == {
        parse_manager("tcp:192.0.2.9:6640"),
        parse_manager("tcp:192.0.2.8:6641"),
        parse_manager("tcp:[2001:db8::1]:6640"),
    }


def test_a_manager_that_cannot_be_parsed_costs_no_other_one(database: Database) -> None:
    uuids = tuple(database.row("Manager", text, target=text) for text in ("tcp:192.0.2.9", "rubbish"))
    database.root["manager_options"] = uuids

    assert translate(database.snapshot()).managers == (parse_manager("tcp:192.0.2.9:6640"),)
    assert "does not say how to connect" in problems(database)["rubbish"]


def test_files_for_tls_are_the_databases(database: Database) -> None:
    database.row("SSL", "ssl", private_key="/k", certificate="/c", ca_cert="/a", bootstrap_ca_cert=True)
    database.root["ssl"] = ("ssl",)
    database.bridge("br0")
    database.controllers("br0", "ssl:192.0.2.1")

    bridge = only_bridge(database)

    assert (bridge.private_key, bridge.certificate, bridge.ca_cert) == (Path("/k"), Path("/c"), Path("/a"))
    assert bridge.controllers == (parse_target("tls:192.0.2.1"),)
    assert "bootstrap_ca_cert is not supported" in problems(database)["ssl"]


# Whatever comes -----------------------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 70000)
    | st.sampled_from(["", "br0", "eth1", "tcp:192.0.2.1", "u1", "\0"]),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
ALL = ("u1", "u2", "u3")
NAMES = st.sampled_from(["br0", "br1", "eth1", "eth2", "a/b", ""])
UUIDS = st.sampled_from(["u1", "u2", "u3"])


def _rows(table: str) -> st.SearchStrategy[dict[str, Row]]:
    columns = st.dictionaries(st.sampled_from(READ[table]), VALUES | UUIDS.map(lambda uuid: (uuid, "u2")), max_size=6)
    usual = {"ports": ALL, "controller": ALL, "target": "tcp:192.0.2.1"}
    rows = st.builds(
        lambda name, own, given: {**usual, "name": name, "interfaces": (own,), **given}, NAMES, UUIDS, columns
    )
    return st.dictionaries(UUIDS, rows, max_size=3).map(
        lambda found: {uuid: Row(uuid, columns) for uuid, columns in found.items()}
    )


SNAPSHOTS = st.fixed_dictionaries({table: _rows(table) for table in READ if table != "Open_vSwitch"}).map(
    lambda tables: Snapshot(
        {**tables, "Open_vSwitch": {"root": Row("root", {"bridges": ALL, "manager_options": ALL, "ssl": ("u1",)})}}
    )
)


@given(SNAPSHOTS)
def test_whatever_the_rows_hold_a_configuration_comes_out_that_can_be_had(snapshot: Snapshot) -> None:
    wanted = translate(snapshot)

    checked(SwitchConfig(wanted.bridges, wanted.managers))


@given(SNAPSHOTS)
def test_the_order_of_rows_does_not_matter(snapshot: Snapshot) -> None:
    backwards = Snapshot({table: dict(reversed(list(rows.items()))) for table, rows in snapshot.tables.items()})

    assert translate(backwards) == translate(snapshot)


def test_a_controller_auto_needs_what_proves_its_neighbours(database: Database) -> None:
    database.bridge("br0", "eth1")
    database.controllers("br0", "auto", "tcp:192.0.2.9")

    assert only_bridge(database).controllers == (parse_target("tcp:192.0.2.9"),)
    assert "controller auto needs a network-key" in problems(database)["controller-auto"]

    database.row("Bridge", "bridge-br0", other_config={"inband-network-key": "/etc/key"})

    assert only_bridge(database).controllers == (AUTO, parse_target("tcp:192.0.2.9"))
    assert problems(database) == {}


def test_protection_that_does_not_fit_costs_itself_alone(database: Database) -> None:
    database.bridge("br0", "eth1", other_config={"inband-protect": "duplicate", "inband-address": "192.0.2.1/24"})

    bridge = only_bridge(database)

    assert (bridge.protect, len(bridge.addresses)) == (Protection.ALTERNATIVE, 1)
    assert "it needs a network-key" in problems(database)["bridge-br0"]
