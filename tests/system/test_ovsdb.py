"""`ovs-vsctl` as people type it, against a switch that follows a real ovsdb-server."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from lab.controllers import LabController
from lab.journal import until
from lab.net import CommandError
from tests.system.ovsdb_rig import OvsdbRig, with_database

pytestmark = pytest.mark.root


@pytest.fixture
def rig() -> Iterator[OvsdbRig]:
    with with_database() as rig:
        yield rig


def test_add_br_and_add_port_return_without_no_wait_and_packets_flow(rig: OvsdbRig) -> None:
    rig.follow()

    rig.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
    rig.vsctl("add-port", "br0", "p1")
    rig.vsctl("add-port", "br0", "p2", "--", "set", "interface", "p2", "ofport_request=7")

    assert rig.vsctl("get", "interface", "p1", "ofport") == "1"
    assert rig.vsctl("get", "interface", "p2", "ofport") == "7"
    assert until(lambda: rig.h1.pings("10.0.0.12") > 0, 5.0)


def test_a_controller_of_the_database_is_dialled_and_its_columns_say_so(rig: OvsdbRig) -> None:
    LabController(rig.h1, port=6653)
    rig.follow()

    rig.vsctl(
        *("add-br", "br0", "--", "add-port", "br0", "p1", "--", "set-controller", "br0", "tcp:10.0.0.11:6653"),
        *("--", "set-fail-mode", "br0", "secure", "--", "set", "controller", "br0", "connection_mode=in-band"),
        *("local_ip=10.0.0.2", "local_netmask=255.255.255.0"),
    )
    rig.vsctl("wait-until", "controller", "br0", "is_connected=true", timeout_s=15)

    assert rig.show()["in_band"]["enabled"]
    assert rig.vsctl("get", "controller", "br0", "role") == "other"
    assert rig.vsctl("get", "controller", "br0", "status:state") == "ACTIVE"
    assert rig.vsctl("get-fail-mode", "br0") == "secure"


def test_what_did_not_change_is_not_disturbed(rig: OvsdbRig) -> None:
    LabController(rig.h1, port=6653)
    rig.follow()
    rig.vsctl("add-br", "br0", "--", "add-port", "br0", "p1", "--", "add-port", "br0", "p2")
    rig.vsctl("set-controller", "br0", "tcp:10.0.0.11:6653", "--", "set", "controller", "br0", "local_ip=10.0.0.2")
    rig.vsctl("wait-until", "controller", "br0", "is_connected=true", timeout_s=15)
    since, index = rig.controller()["since"], rig.box.run("cat", "/sys/class/net/br0/ifindex")

    rig.vsctl("add-br", "br1", "--", "set", "bridge", "br1", "other_config:hwaddr=02:00:00:00:00:99")
    rig.vsctl("del-port", "br0", "p2")
    rig.vsctl("del-br", "br1")
    rig.vsctl("set", "bridge", "br0", "external_ids:note=x")

    assert rig.controller()["since"] == pytest.approx(since, abs=0.1)
    assert rig.box.run("cat", "/sys/class/net/br0/ifindex") == index
    assert rig.ports() == {"p1": 1}


def test_everyday_commands_answer_as_for_open_vswitch(rig: OvsdbRig) -> None:
    rig.follow()
    rig.vsctl("add-br", "br0", "--", "add-port", "br0", "p1", "--", "set-controller", "br0", "tcp:10.0.0.11:6653")

    assert rig.vsctl("list-br") == "br0"
    assert rig.vsctl("list-ports", "br0") == "p1"
    assert "Controller" in rig.vsctl("show")
    assert rig.vsctl("--bare", "--columns=name", "find", "interface", "ofport=1") == "p1"
    assert rig.vsctl("get", "bridge", "br0", "datapath_id").strip('"') == rig.show()["datapath_id"]
    assert "link_state" in rig.vsctl("list", "interface", "p1")
    rig.vsctl("emer-reset")
    assert rig.vsctl("get-controller", "br0") == ""
    assert rig.show()["controllers"] == []
    rig.vsctl("del-port", "p1")
    rig.vsctl("del-br", "br0")
    assert json.loads(rig.call("inband/show", "json"))["bridges"] == []


def test_a_link_that_goes_down_is_seen_in_the_database(rig: OvsdbRig) -> None:
    rig.follow()
    rig.vsctl("add-br", "br0", "--", "add-port", "br0", "p1")
    assert rig.column("interface", "p1", "link_state") == "up"

    rig.h1.ip("link set eth0 down")

    rig.vsctl("wait-until", "interface", "p1", "link_state=down", timeout_s=5)
    assert rig.column("interface", "p1", "admin_state") == "up"


def test_an_interface_that_is_not_there_says_so_and_is_a_port_when_it_appears(rig: OvsdbRig) -> None:
    rig.follow()

    rig.vsctl("add-br", "br0", "--", "add-port", "br0", "late")

    assert rig.column("interface", "late", "error") == "could not open network device late (No such device)"
    assert rig.column("interface", "late", "ofport") == "-1"
    rig.box.ip("link add late type veth peer name other", "link set late up", "link set other up")
    rig.vsctl("wait-until", "interface", "late", "ofport!=-1", timeout_s=5)
    assert rig.column("interface", "late", "error") == "[]"


def test_statistics_are_those_of_openflow(rig: OvsdbRig) -> None:
    rig.follow()
    rig.vsctl("add-br", "br0", "--", "add-port", "br0", "p1", "--", "add-port", "br0", "p2")
    assert until(lambda: rig.h1.pings("10.0.0.12") > 0, 5.0)

    assert until(lambda: rig.column("interface", "p1", "statistics") not in ("{}", ""), 8.0)

    statistics = rig.column("interface", "p1", "statistics")
    assert "rx_packets=" in statistics
    assert "tx_bytes=" in statistics


def test_bad_rows_say_so_and_the_rest_takes_effect(rig: OvsdbRig) -> None:
    rig.follow()
    rig.vsctl("add-br", "br0", "--", "add-port", "br0", "p1")
    port = rig.vsctl("get", "port", "p1", "_uuid")

    rig.vsctl(
        *("add-br", "br1", "--", "add", "bridge", "br1", "ports", port),
        *("--", "add-br", "lo"),
        *("--", "add-port", "br1", "p2", "--", "set", "interface", "p2", "type=stt"),
        *("--", "add-port", "br0", "tagged", "tag=10", "vlan_mode=dot1q-tunnel"),
        *("--", "set-controller", "br1", "tpc:192.0.2.1", "tcp:192.0.2.1"),
        *("--", "set", "bridge", "br1", "datapath_type=rubbish"),
    )

    assert rig.ports("br0") == {"p1": 1}
    assert rig.ports("br1") == {}
    assert "interface p1 is in bridge br0" in rig.column("bridge", "br1", "status:error")
    assert "lo exists and is not the switch's" in rig.column("bridge", "lo", "status:error")
    assert "lo exists" in rig.column("interface", "lo", "error")
    assert "type stt is not supported" in rig.column("interface", "p2", "error")
    assert "dot1q-tunnel is not supported" in rig.column("port", "tagged", "status:error")
    assert [each["target"] for each in rig.show("br1")["controllers"]] == ["tcp:192.0.2.1:6653"]
    assert "did you mean tcp:" in rig.vsctl("--columns=status", "find", "controller", "target=tpc\\:192.0.2.1")
    health = rig.inband("health")
    assert health.returncode > 0
    assert "interface p1 is in bridge br0" in health.stdout


def test_a_bridge_that_could_not_be_had_is_tried_again(rig: OvsdbRig) -> None:
    rig.box.ip("link add taken type veth peer name other")
    rig.follow()
    rig.vsctl("add-br", "taken")
    assert rig.column("bridge", "taken", "status:error") != ""

    rig.box.ip("link del taken")

    assert until(lambda: rig.column("bridge", "taken", "datapath_id") != "[]", 8.0)
    assert rig.column("bridge", "taken", "status") == "{}"


def test_access_ports_keep_vlans_apart(rig: OvsdbRig) -> None:
    rig.follow()
    rig.vsctl("add-br", "br0", "--", "add-port", "br0", "p1", "tag=10", "--", "add-port", "br0", "p2", "tag=10")
    assert until(lambda: rig.h1.pings("10.0.0.12") > 0, 5.0)

    rig.vsctl("set", "port", "p2", "tag=20")

    assert rig.h1.pings("10.0.0.12", wait_s=0.3) == 0


def test_a_place_to_listen_at_that_is_taken_costs_the_bridge_nothing_else(rig: OvsdbRig) -> None:
    rig.follow()

    rig.vsctl(
        *("add-br", "a", "--", "set-controller", "a", "ptcp:6633:127.0.0.1", "--", "add-br", "b"),
        *("--", "add-port", "b", "p1", "--", "set-controller", "b", "ptcp:6633:127.0.0.1", "tcp:10.0.0.11"),
    )

    assert rig.ports("b") == {"p1": 1}
    assert "last_error=Address already in use" in places(rig)
    assert [each["target"] for each in rig.show("b")["controllers"]] == ["tcp:10.0.0.11:6653"]
    rig.vsctl("del-br", "a")
    assert until(lambda: places(rig) == "state=IDLE", 8.0)
    assert len(rig.show("b")["controllers"]) == 2


def places(rig: OvsdbRig) -> str:
    """The column ``status`` of what listens."""
    return rig.vsctl("--bare", "--columns=status", "find", "controller", 'target="ptcp:6633:127.0.0.1"')


def test_a_bridge_gives_its_name_to_a_port_in_one_transaction(rig: OvsdbRig) -> None:
    rig.box.ip("link set p2 down")
    rig.follow()
    rig.vsctl("add-br", "br0", "--", "add-br", "p3")

    rig.vsctl("del-br", "p3", "--", "add-port", "br0", "p3")

    assert rig.column("interface", "p3", "error") == "could not open network device p3 (No such device)"
    rig.box.ip("link set p2 name p3", "link set p3 up")
    rig.vsctl("wait-until", "interface", "p3", "ofport!=-1", timeout_s=5)


def test_another_datapath_type_makes_the_bridge_anew(rig: OvsdbRig) -> None:
    rig.follow()
    rig.vsctl("add-br", "br0", "--", "add-port", "br0", "p1", "--", "add-port", "br0", "p2")

    rig.vsctl("set", "bridge", "br0", "datapath_type=netdev")

    assert rig.show()["datapath"] == "userspace"
    assert rig.ports() == {"p1": 1, "p2": 2}
    assert until(lambda: rig.h1.pings("10.0.0.12") > 0, 5.0)


def test_the_mtu_of_ports_is_what_is_asked_for_and_the_bridges_own_interface_follows(rig: OvsdbRig) -> None:
    rig.follow()
    rig.vsctl("add-br", "br0", "--", "add-port", "br0", "p1", "--", "set", "interface", "p1", "mtu_request=1400")

    rig.vsctl("set", "interface", "br0", "mtu_request=1300")

    mtus = ("cat", "/sys/class/net/p1/mtu", "/sys/class/net/br0/mtu")
    assert until(lambda: rig.box.run(*mtus).split() == ["1400", "1400"], 3.0)
    assert "lowest MTU of its ports" in rig.column("port", "br0", "status:error")
    rig.vsctl("wait-until", "interface", "p1", "mtu=1400", timeout_s=3)
    rig.vsctl("set", "interface", "p1", "mtu_request=1000000000")
    assert "set the MTU of p1" in rig.column("interface", "p1", "error")
    assert rig.ports() == {"p1": 1}


def test_managers_are_in_band_remotes(rig: OvsdbRig) -> None:
    rig.follow()
    rig.vsctl("add-br", "br0", "--", "set-manager", "tcp:10.0.0.11:6640", "ptcp:6641:127.0.0.1")

    remotes = rig.show()["in_band"]["remotes"]

    assert [(each["address"], each["port"], each["kinds"]) for each in remotes] == [("10.0.0.11", 6640, ["manager"])]


def test_commands_do_not_change_what_the_database_configures(rig: OvsdbRig) -> None:
    rig.follow("--bridge", "br9", "--port", "p2")
    rig.vsctl("add-br", "br0", "--", "add-port", "br0", "p1")

    assert "use ovs-vsctl" in rig.refusal("inband/add-port", "br0", "p2")
    rig.call("inband/del-port", "br9", "p2")
    rig.vsctl("add-port", "br0", "p2")

    assert rig.ports("br9") == {}
    assert rig.ports("br0") == {"p1": 1, "p2": 2}


def test_a_wrong_word_in_a_remote_is_refused_before_anything_is_done(rig: OvsdbRig) -> None:
    done = rig.inband("run", "--ovsdb", "tcp:localhost")

    assert done.returncode == 2
    assert "has an address and a port" in done.stderr


def test_a_command_that_waits_for_a_switch_that_is_away_ends_by_its_own_timeout(rig: OvsdbRig) -> None:
    with pytest.raises(CommandError):
        rig.vsctl("add-br", "br0", timeout_s=1)
    rig.follow()

    assert until(lambda: rig.column("bridge", "br0", "datapath_id") != "[]", 5.0)


def test_rstp_is_enabled_by_the_database_and_what_came_of_it_is_written_back(rig: OvsdbRig) -> None:
    rig.follow()
    rig.vsctl(
        "add-br", "br0", "--", "add-port", "br0", "p1", "--", "set", "port", "p1", "other_config:rstp-path-cost=7"
    )

    rig.vsctl("set", "bridge", "br0", "rstp_enable=true", "other_config:rstp-priority=8192")
    rig.vsctl("wait-until", "port", "p1", "rstp_status:rstp_port_state=Forwarding", timeout_s=15)

    assert rig.column("bridge", "br0", "rstp_status:rstp_bridge_id").startswith("2.000.")
    assert rig.column("port", "p1", "rstp_status:rstp_port_role") == "Designated"
    tree = rig.show()["ports"][0]["rstp"]
    assert (tree["state"], tree["cost"]) == ("Forwarding", 7)

    rig.vsctl("set", "bridge", "br0", "rstp_enable=false")
    rig.vsctl("wait-until", "port", "p1", "rstp_status={}", timeout_s=15)
    assert rig.show()["rstp"] is None


def test_a_controller_auto_without_a_key_says_so_and_the_rest_is_followed(rig: OvsdbRig) -> None:
    rig.follow()
    rig.vsctl("add-br", "br0", "--", "set-controller", "br0", "auto")
    rig.vsctl("add-port", "br0", "p1")

    (uuid,) = rig.vsctl("--columns=_uuid", "--bare", "list", "controller").split()
    assert until(lambda: "needs a network-key" in rig.column("controller", uuid, "status"), 5.0)
    assert rig.column("interface", "p1", "ofport") != "-1"
