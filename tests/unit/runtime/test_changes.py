"""Verbs: each makes the next configuration, or refuses and leaves the old one."""

from __future__ import annotations

from pathlib import Path

import pytest

from inband.errors import UsageError
from inband.runtime.changes import with_change
from inband.runtime.config_load import load
from inband.switch.config import BridgeConfig, FailMode, RunOptions, SwitchConfig
from inband.switch.manager_targets import parse_manager
from inband.switch.targets import parse_target

START = SwitchConfig((BridgeConfig("br0", ports=("eth1",)), BridgeConfig("br1")))


def after(*steps: str) -> SwitchConfig:
    config = START
    for step in steps:
        verb, *arguments = step.split()
        config = with_change(config, verb, arguments)
    return config


def test_bridges_come_and_go() -> None:
    assert after("add-bridge br2 fail-mode=secure").bridges[2] == BridgeConfig("br2", fail_mode=FailMode.SECURE)
    assert after("del-bridge br0").bridges == (BridgeConfig("br1"),)


def test_a_ports_vlans_come_change_and_go_and_its_number_stays() -> None:
    made = after("add-port br0 eth2=7,tag=10", "add-port br0 eth3,trunks=10-11+30").bridge("br0")
    changed = after("add-port br0 eth2=7,tag=10", "set-port br0 eth2,tag=1,vlan-mode=native-tagged").bridge("br0")

    assert {name: str(vlans) for name, vlans in made.port_vlans} == {"eth2": "tag=10", "eth3": "trunks=10-11+30"}
    assert {name: str(vlans) for name, vlans in changed.port_vlans} == {"eth2": "tag=1,vlan-mode=native-tagged"}
    assert changed.port_numbers == made.port_numbers == (("eth2", 7),)
    assert after("add-port br0 eth2,tag=10", "set-port br0 eth2").bridge("br0").port_vlans == ()
    with_tree = after("add-port br0 eth2,rstp-edge=on", "set-port br0 eth2,rstp-cost=5,tag=7").bridge("br0")
    assert {name: str(tree) for name, tree in with_tree.port_trees} == {"eth2": "rstp-cost=5"}
    assert after("add-port br0 eth2,rstp-edge=on", "del-port br0 eth2").bridge("br0").port_trees == ()
    assert after("add-port br0 eth2,tag=10", "del-port br0 eth2").bridge("br0").port_vlans == ()


def test_ports_come_and_go_and_keep_their_order() -> None:
    assert after("add-port br0 eth2", "add-port br0 eth3", "del-port br0 eth2").bridge("br0").ports == ("eth1", "eth3")


def test_controllers_are_replaced_as_a_whole() -> None:
    one = after("set-controller br0 tcp:192.0.2.1", "set-controller br0 tcp:192.0.2.2 tcp:192.0.2.3:1")

    assert one.bridge("br0").controllers == (parse_target("tcp:192.0.2.2"), parse_target("tcp:192.0.2.3:1"))
    assert with_change(one, "del-controller", ["br0"]) == START


def test_managers_belong_to_the_whole_switch() -> None:
    one = after("set-manager tcp:192.0.2.1:6640 tcp:192.0.2.1:6640")

    assert one.managers == (parse_manager("tcp:192.0.2.1:6640"),)
    assert with_change(one, "del-manager", []) == START


def test_several_settings_change_at_once() -> None:
    bridge = after("set br0 queue=4 in-band=off").bridge("br0")

    assert (bridge.queue, bridge.in_band) == (4, False)


@pytest.mark.parametrize(
    ("step", "complaint"),
    [
        ("frobnicate", "unknown verb"),
        ("add-bridge", "write add-bridge BRIDGE"),
        ("add-bridge br0", "already there"),
        ("add-bridge a/b", "cannot be the name"),
        ("del-bridge br9", "no bridge 'br9'"),
        ("add-port br0 eth1", "listed twice"),
        ("add-port br0 eth2,tag=5000", "eth2: VLAN '5000' is not allowed: 0 to 4095"),
        ("set-port br0 eth1,tag=1,trunks=2", "eth1: an access port has one VLAN"),
        ("set-port br0 eth7,tag=1", r"has no port 'eth7' \(ports: eth1\)"),
        ("set-port br0 eth1=7", "the number of port eth1 cannot change"),
        ("add-port br1 eth1", "in bridge br0 as well"),
        ("add-port br0 br1", "the interface of a bridge itself"),
        ("add-port br0 eth1 eth2", "wrong number of arguments"),
        ("del-port br0 eth7", r"has no port 'eth7' \(ports: eth1\)"),
        ("set-controller br0 tcp:", "names no host"),
        ("set-controller br0 tcp:192.0.2.1 tcp:192.0.2.1", "listed twice"),
        ("set br0 port=eth1", "port has verbs of its own"),
        ("set br0 queue=x", "queue: 'x' is not allowed"),
        ("reload", "without --config"),
    ],
)
def test_a_wrong_verb_is_refused(step: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        after(step)


def test_reload_reads_the_file_again_and_keeps_the_options(tmp_path: Path) -> None:
    path = tmp_path / "switch.toml"
    path.write_text('[[bridge]]\nname = "br0"\nqueue = 1\n')
    config = load(RunOptions(path, tmp_path, settings=(("fail-mode", ("secure",)),)), {})
    path.write_text('[[bridge]]\nname = "br0"\nqueue = 2\n')

    fresh = with_change(config, "reload", [])

    assert fresh.bridges == (BridgeConfig("br0", queue=2, fail_mode=FailMode.SECURE),)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('run-dir = "/elsewhere"', "run-dir cannot change"),
        ('[[bridge]]\nname = "br0"\ndatapath = "userspace"', "datapath cannot change"),
        ('[[bridge]]\nname = "br0"\nqueue = "x"', "switch.toml:3: bridge br0: queue"),
    ],
)
def test_a_reload_that_cannot_be_done_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "switch.toml"
    path.write_text('[[bridge]]\nname = "br0"\n')
    config = load(RunOptions(path), {})
    path.write_text(text)

    with pytest.raises(UsageError, match=complaint):
        with_change(config, "reload", [])


def test_dns_servers_are_replaced_and_taken_back() -> None:
    changed = with_change(START, "set-dns-server", ["192.0.2.53", "2001:db8::53", "192.0.2.53"])

    assert [str(server) for server in changed.dns_servers] == ["192.0.2.53", "2001:db8::53"]
    assert with_change(changed, "del-dns-server", []) == START
    with pytest.raises(UsageError, match="is not an IP address"):
        with_change(START, "set-dns-server", ["ns.example.net"])
