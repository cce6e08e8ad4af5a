"""Configuration: the file, the options and the verbs make the same values, and refuse the same mistakes."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import ip_address, ip_interface
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inband.errors import UsageError
from inband.flow.membership import VlanMembership, VlanMode
from inband.flow.ports import PortNo
from inband.runtime.config_keys import KEYS, parse_setting
from inband.runtime.config_load import load, read_file
from inband.runtime.unixctl_client import find_run_dir
from inband.stp.settings import PortTreeSettings
from inband.switch.config import BridgeConfig, DatapathKind, FailMode, Protection, RunOptions, SwitchConfig
from inband.switch.manager_targets import parse_manager
from inband.switch.targets import parse_target
from inband.vocabulary.addresses import Mac

FULL = """
manager = "tcp:192.0.2.9:6640"
dns-server = ["192.0.2.53", "2001:db8::53"]
run-dir = "/run/x"

[[bridge]]
name = "br0"
port = ["eth1,rstp-cost=2000,rstp-priority=16,rstp-edge=on", "eth2=7,tag=1,trunks=10-11,vlan-mode=native-untagged"]
controller = ["tcp:192.0.2.1:6653", "tls:192.0.2.3,out-of-band"]
fail-mode = "secure"
datapath = "userspace"
address = ["192.0.2.2/24", "dhcp", "dhcpv6"]
gateway = "192.0.2.254"
adopt = "eth1"
queue = 1
control-vlan = 10
in-band = false
rstp = true
rstp-priority = 4096
datapath-id = "00000000000000ff"
mac = "02:00:00:00:00:01"
inactivity-probe = "500ms"
max-backoff = 2.5
flow-limit = 1000
peer-redirect = "off"
neighbours = "off"
network-key = ["/etc/new.key", "/etc/old.key"]
protect = "alternative"
openflow-version = "1.3"
private-key = "/etc/key.pem"
certificate = "/etc/cert.pem"
ca-cert = "/etc/ca.pem"

[[bridge]]
name = "br1"
queue = "none"
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "switch.toml"
    path.write_text(text)
    return path


def test_a_file_with_every_key_becomes_the_values_it_says(tmp_path: Path) -> None:
    config = read_file(write(tmp_path, FULL))

    assert set(KEYS) <= set(re.findall(r"^([a-z-]+) =", FULL, re.MULTILINE)), "FULL, above: give the new key a value"
    assert config.run_dir == Path("/run/x")
    assert config.managers == (parse_manager("tcp:192.0.2.9:6640"),)
    assert config.dns_servers == (ip_address("192.0.2.53"), ip_address("2001:db8::53"))
    assert config.bridges[1] == BridgeConfig("br1")
    assert config.bridges[0] == BridgeConfig(
        name="br0",
        ports=("eth1", "eth2"),
        port_numbers=(("eth2", PortNo(7)),),
        port_vlans=(("eth2", VlanMembership(VlanMode.NATIVE_UNTAGGED, 1, frozenset({10, 11}))),),
        port_trees=(("eth1", PortTreeSettings(2000, 16, is_edge=True)),),
        rstp=True,
        rstp_priority=4096,
        controllers=(parse_target("tcp:192.0.2.1"), parse_target("tls:192.0.2.3,out-of-band")),
        fail_mode=FailMode.SECURE,
        datapath=DatapathKind.USERSPACE,
        addresses=(ip_interface("192.0.2.2/24"),),
        dhcp=True,
        dhcpv6=True,
        gateway=ip_address("192.0.2.254"),
        adopt="eth1",
        queue=1,
        control_vlan=10,
        in_band=False,
        datapath_id=0xFF,
        mac=Mac.parse("02:00:00:00:00:01"),
        inactivity_probe_s=0.5,
        max_backoff_s=2.5,
        flow_limit=1000,
        peer_redirect=False,
        neighbours=False,
        network_keys=(Path("/etc/new.key"), Path("/etc/old.key")),
        openflow_versions=(4,),
        private_key=Path("/etc/key.pem"),
        certificate=Path("/etc/cert.pem"),
        ca_cert=Path("/etc/ca.pem"),
    )


BRIDGE = '[[bridge]]\nname = "br0"\n'


def test_channels_may_be_sent_by_all_ways_where_there_is_a_key(tmp_path: Path) -> None:
    config = read_file(write(tmp_path, BRIDGE + 'protect = "duplicate"\nnetwork-key = "/k"'))

    assert config.bridges[0].protect is Protection.DUPLICATE


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("x = ", "switch.toml: not valid TOML: Invalid value (at end of document)"),
        ("a = 1\nb = = 2", "at line 2, column 5"),
        (
            "manger = 'tcp:192.0.2.1'",
            "switch.toml:1: unknown key 'manger': it belongs under [[bridge]], or is misspelt",
        ),
        ("queue = 1", "switch.toml:1: unknown key 'queue': it belongs under [[bridge]]"),
        ("manager = 'tcp:'", "switch.toml:1: manager: target 'tcp:' names no host"),
        ("manager = 5", "switch.toml:1: manager: allowed is a target or a list of targets"),
        ("manager = 'ptcp:6640'", "a manager is protected, not dialled"),
        ("bridge = 5", "switch.toml:1: bridge: allowed are tables"),
        ("run-dir = 5", "switch.toml:1: run-dir: allowed is a string"),
        ("[[bridge]]\nport = 'eth1'", "bridge number 1 has no name"),
        ("[[bridge]]\nname = 'a/b'", "switch.toml:2: bridge a/b: 'a/b' cannot be the name of an interface"),
        ("[[bridge]]\nname = '..'", "cannot be the name of an interface"),
        ("[[bridge]]\nname = 'abcdefghijklmnop'", "1 to 15 letters"),
        (BRIDGE + "fail-mod = 'secure'", "switch.toml:3: bridge br0: unknown key 'fail-mod': did you mean fail-mode?"),
        (BRIDGE + "xyzzy = 1", "unknown key 'xyzzy': allowed are name, port, controller"),
        (BRIDGE + "fail-mode = 'open'", "switch.toml:3: bridge br0: fail-mode: 'open' is not allowed: secure or"),
        (BRIDGE + "fail_mode = 'secure'\nfail-mode = 'secure'", "fail-mode says again what fail-mode says"),
        (BRIDGE + "fail-mode = 5", "fail-mode: a number is not allowed: secure or standalone"),
        (BRIDGE + "fail-mode = ['secure']", "fail-mode: a list is not allowed"),
        (BRIDGE + "port = [['eth1']]", "port: a list is not allowed: the name of an interface"),
        (BRIDGE + "port = [1]", "port: a number is not allowed"),
        (BRIDGE + "port = 1979-05-27", "port: a date or time is not allowed"),
        (BRIDGE + "port = ['eth1', 'eth1']", "port eth1 is listed twice"),
        (BRIDGE + "port = 'eth1,tag=5000'", "port: eth1: VLAN '5000' is not allowed: 0 to 4095"),
        (BRIDGE + "port = 'eth1,tag=1,tag=2'", "port: eth1: tag is given twice"),
        (BRIDGE + "port = 'eth1,tag'", "port: eth1: 'tag' is none of"),
        (BRIDGE + "port = 'eth1,tga=1'", "port: eth1: 'tga=1' is none of tag=VLAN"),
        (BRIDGE + "port = 'eth1,rstp-cost=0'", "port: eth1: path cost '0' is not allowed: 1 to 200000000"),
        (
            BRIDGE + "port = 'eth1,rstp-priority=8'",
            "port: eth1: priority '8' is not allowed: multiples of 16 from 0 to 240",
        ),
        (BRIDGE + "port = 'eth1,rstp-edge=yes'", "port: eth1: rstp-edge 'yes' is not allowed: on or off"),
        (BRIDGE + "rstp-priority = 5", "rstp-priority: priority '5' is not allowed: multiples of 4096 from 0 to 61440"),
        (BRIDGE + "rstp-priority = 65536", "rstp-priority: priority '65536' is not allowed: multiples of 4096"),
        (BRIDGE + "rstp = 'maybe'", "rstp: 'maybe' is not allowed: on or off"),
        (BRIDGE + "port = 'eth1,tag=1,trunks=2'", "port: eth1: an access port has one VLAN"),
        (BRIDGE + "port = 'eth1,vlan-mode=dot1q'", "port: eth1: vlan-mode 'dot1q' is not allowed: access, trunk"),
        (BRIDGE + "port = 'br0'", "port br0 is the interface of a bridge itself"),
        (BRIDGE + "port = 'e'\n[[bridge]]\nname='b'\nport='e'", "bridge b: port e is listed in bridge br0 as well"),
        (BRIDGE + BRIDGE, "bridge br0 is configured twice"),
        (BRIDGE + "queue = true", "queue: true or false is not allowed: 0 to 65534, or none"),
        (BRIDGE + "queue = -1", "queue: '-1' is not allowed"),
        (BRIDGE + "queue = 65535", "queue: '65535' is not allowed"),
        (BRIDGE + "in-band = 1", "in-band: a number is not allowed: on or off"),
        (BRIDGE + "in-band = 'maybe'", "in-band: 'maybe' is not allowed: on or off"),
        (BRIDGE + "address = '192.0.2.2'", "address: '192.0.2.2' has no prefix length: write 192.0.2.2/24"),
        (BRIDGE + "address = '192.0.2.x'", "address: '192.0.2.x' is not an IP address"),
        (BRIDGE + "address = '192.0.2.2/33'", "address: '192.0.2.2/33' is not allowed: ADDRESS/LENGTH, dhcp or"),
        (BRIDGE + "address = '224.0.0.1/8'", "address: '224.0.0.1/8' is not allowed"),
        (BRIDGE + "address = '::1/128'", "address: '::1/128' is not allowed"),
        (BRIDGE + "address = '127.0.0.2/8'", "address: '127.0.0.2/8' is not allowed"),
        (BRIDGE + "address = '255.255.255.255/32'", "address: '255.255.255.255/32' is not allowed"),
        (BRIDGE + "address = '192.0.2.2/24'\ngateway = '192.0.3.1'", "gateway 192.0.3.1 is in none of the bridge's"),
        (BRIDGE + "address = '192.0.2.2/24'\ngateway = '192.0.2.2'", "gateway 192.0.2.2 is the bridge's own address"),
        (BRIDGE + "mac = '01:00:00:00:00:01'", "mac: '01:00:00:00:00:01' is not allowed"),
        (BRIDGE + "mac = '1'", "mac: '1' is not a MAC address"),
        (BRIDGE + "datapath-id = '0'", "datapath-id: '0' is not allowed"),
        (BRIDGE + "datapath-id = '11112222333344445'", "up to 16 hexadecimal digits"),
        (BRIDGE + "inactivity-probe = nan", "inactivity-probe: 'nan' is not allowed"),
        (BRIDGE + "max-backoff = 0", "max-backoff: '0' is not allowed: seconds, as in 5 or 500ms"),
        (BRIDGE + "openflow-version = '1.4'", "openflow-version: '1.4' is not allowed: 1.0 and 1.3"),
        (BRIDGE + "openflow-version = []", "openflow-version: the list is empty"),
        (BRIDGE + "controller = 'tls:192.0.2.1'", "needs private-key, certificate and ca-cert"),
        (BRIDGE + "controller = ['tcp:192.0.2.1', 'tcp:192.0.2.1']", "is listed twice"),
        (BRIDGE + "protect = 'twice'", "protect: 'twice' is not allowed: alternative or duplicate"),
        (BRIDGE + "protect = 'duplicate'", "protect=duplicate sends by all ways between neighbours"),
        (BRIDGE + "protect = 'duplicate'\nnetwork-key = '/k'\nneighbours = false", "with neighbours and in-band on"),
        (
            BRIDGE + "controller = 'auto'",
            "controller auto needs a network-key: it takes the controllers that neighbours",
        ),
        (BRIDGE + "controller = 'auto:'", "auto stands alone: write auto, or tcp:192.0.2.1:6653"),
        (BRIDGE + "controller = ['auto', 'auto']\nnetwork-key = '/k'", "controller auto is listed twice"),
        (BRIDGE + "controller = 'auto'\nnetwork-key = '/k'\nneighbours = false", "controller auto needs neighbours: "),
        (
            BRIDGE + "controller = 'auto'\nnetwork-key = '/k'\nin-band = false",
            "controller auto needs in-band control: ",
        ),
        ("dns-server = 'x'\n" + BRIDGE, "dns-server: 'x' is not an IP address"),
        ("dns-server = '224.0.0.1'\n" + BRIDGE, "dns-server: 224.0.0.1 is not the address of one host"),
        ("dns-server = 53\n" + BRIDGE, "dns-server: allowed is an address or a list of addresses"),
        ("x = " + "[" * 5000, "not valid TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name_the_key_and_what_is_allowed(
    tmp_path: Path, text: str, complaint: str
) -> None:
    path = write(tmp_path, text)

    with pytest.raises(UsageError) as caught:
        read_file(path)

    assert str(caught.value).startswith(str(path))
    assert complaint in str(caught.value)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "latin1.toml").write_bytes(b"\xe9 = 1")

    for path, complaint in [
        (tmp_path / "missing.toml", "No such file"),
        (tmp_path, "Is a directory"),
        (tmp_path / "latin1.toml", "not UTF-8"),
        (Path("/dev/zero"), "larger than"),
        (Path("a\0b"), "cannot read"),
    ]:
        with pytest.raises(UsageError, match=complaint):
            read_file(path)


def test_options_alone_make_a_learning_switch_of_the_default_name() -> None:
    config = load(RunOptions(settings=(("port", ("eth1", "eth2")),)), {})

    assert config.bridges == (BridgeConfig("br0", ports=("eth1", "eth2")),)
    assert config.bridges[0].fail_mode is FailMode.STANDALONE


def test_options_and_file_with_the_same_words_make_the_same_bridge(tmp_path: Path) -> None:
    path = write(tmp_path, BRIDGE + "queue = 3\nin-band = false\naddress = 'dhcp'\ncontroller = 'tcp:192.0.2.1'")
    settings = (
        ("queue", ("3",)),
        ("in-band", ("off",)),
        ("address", ("dhcp",)),
        ("controller", ("tcp:192.0.2.1:6653",)),
    )

    from_file, from_options = read_file(path), load(RunOptions(bridge="br0", settings=settings), {})

    assert from_file.bridges == from_options.bridges


def test_options_win_over_the_file_key_by_key(tmp_path: Path) -> None:
    path = write(tmp_path, FULL)
    options = RunOptions(path, Path("/run/y"), bridge="br0", managers=(), settings=(("queue", ("7",)),))

    config = load(options, {})

    assert config.run_dir == Path("/run/y")
    assert config.bridges[0] == replace(read_file(path).bridges[0], queue=7)
    assert config.options is options


def test_options_for_a_file_with_several_bridges_must_name_one(tmp_path: Path) -> None:
    options = RunOptions(write(tmp_path, FULL), settings=(("queue", ("7",)),))

    with pytest.raises(UsageError, match="say with --bridge"):
        load(options, {})


def test_the_run_directory_is_the_option_else_the_variable_else_the_default() -> None:
    assert find_run_dir("/a", {"INBAND_RUNDIR": "/b"}) == Path("/a")
    assert find_run_dir(None, {"INBAND_RUNDIR": "/b"}) == Path("/b")
    assert find_run_dir(None, {}) == Path("/run/inband")
    assert load(RunOptions(), {"INBAND_RUNDIR": "/b"}).run_dir == Path("/b")


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("fail-mode=secure", ("fail_mode", FailMode.SECURE)),
        ("fail_mode=secure", ("fail_mode", FailMode.SECURE)),
        ("in-band=off", ("in_band", False)),
        ("queue=none", ("queue", None)),
        ("queue=0x10", ("queue", 16)),
        ("address=192.0.2.2/24,dhcp", ("addresses", (ip_interface("192.0.2.2/24"), "dhcp"))),
        ("address=none", ("addresses", ())),
        ("openflow-version=1.0,OpenFlow13", ("openflow_versions", (1, 4))),
    ],
)
def test_a_setting_is_read_with_the_words_of_the_file(setting: str, expected: tuple[str, object]) -> None:
    assert parse_setting(setting) == expected


@pytest.mark.parametrize(
    "setting", ["queue", "que=1", "port=eth1", "queue=", "in-band=", "=", "fail-mode=secure,secure"]
)
def test_a_wrong_setting_is_refused(setting: str) -> None:
    with pytest.raises(UsageError):
        parse_setting(setting)


@given(st.sampled_from(sorted(KEYS)), st.text(max_size=20))
def test_any_text_for_any_key_is_read_or_refused_and_nothing_else(key: str, text: str) -> None:
    try:
        KEYS[key].read([text])
    except UsageError as error:
        assert key in str(error)  # noqa: PT017 - reading it is right as well


def test_an_unknown_bridge_is_refused_with_those_there_are() -> None:
    config = SwitchConfig((BridgeConfig("br0"), BridgeConfig("br1")))

    with pytest.raises(UsageError, match=r"no bridge 'br2' here \(bridges: br0, br1\)"):
        config.bridge("br2")
