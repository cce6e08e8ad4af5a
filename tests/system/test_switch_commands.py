"""Commands to a running switch: what they change, what they refuse, and that a refusal changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from lab.journal import until
from lab.net import Lab
from tests.system.switch_rig import Rig, one_line

pytestmark = pytest.mark.root

FILE = """
[[bridge]]
name = "br0"
port = ["p1", "p2"]
address = "10.0.0.1/24"
"""


@pytest.fixture(scope="module")
def running() -> Iterator[Rig]:
    with Lab("ihk") as lab:
        made = Rig(lab)
        # Rules of IPv6 come and go by themselves while addresses are new; here only commands are to change something.
        made.box.sysctl(net__ipv6__conf__default__disable_ipv6=1)
        made.box.ip("link add foreign type bridge", "link add e1 type veth peer name e2", "link set e1 master foreign")
        made.start("--config", made.config(FILE))
        yield made


@pytest.fixture
def rig(running: Rig) -> Rig:
    """The running switch, as its file says."""
    running.config(FILE)
    running.call("inband/reload")
    return running


def test_every_verb_does_its_work_and_ends_with_0(rig: Rig) -> None:
    steps: tuple[tuple[str, ...], ...] = (
        ("add-bridge", "br1", "fail-mode=secure"),
        ("set-controller", "br1", "ptcp:7001:127.0.0.1", "tcp:10.0.0.99,out-of-band"),
        ("set-manager", "tcp:10.0.0.98:22"),
        ("set", "br1", "queue=3", "in-band=off"),
        ("del-port", "br0", "p2"),
        ("add-port", "br1", "p2"),
    )

    for step in steps:
        done = rig.inband(*step)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    assert rig.ports() == {"p1": 1}
    assert rig.ports("br1") == {"p2": 1}
    shown = rig.show("br1")
    assert shown["fail_mode"] == "secure"
    assert {each["target"] for each in shown["controllers"]} == {
        "ptcp:7001:127.0.0.1",
        "tcp:10.0.0.99:6653,out-of-band",
    }
    assert (shown["in_band"]["queue"], shown["in_band"]["enabled"]) == (3, False)
    assert {each["kinds"][0] for each in rig.show()["in_band"]["remotes"]} == {"manager"}
    for undo in ("del-controller br1", "del-manager", "del-bridge br1"):
        assert rig.inband(*undo.split()).returncode == 0
    assert "br1" not in rig.call("inband/show", "json")
    assert "bridge br1: ended, its ports are the system's again" in rig.log()
    assert not any(line.startswith("br1") for line in rig.state())


REFUSED = {
    "there is a bridge of that name": ("already there", "add-bridge", "br0"),
    "somebody's interface has that name": ("ip link del foreign", "add-bridge", "foreign"),
    "no such bridge to delete": ("no bridge", "del-bridge", "br7"),
    "a port twice": ("twice", "add-port", "br0", "p1"),
    "a port of a Linux bridge": ("nomaster", "add-port", "br0", "e1"),
    "no such port to delete": ("no port", "del-port", "br0", "p9"),
    "a target that is none": ("300", "set-controller", "br0", "tcp:300.1.1.1"),
    "a place to listen that is taken": ("in use", "set-controller", "br0", "punix:{taken}"),
    "a manager that listens": ("not dialled", "set-manager", "ptcp:1"),
    "an unknown key": ("did you mean queue", "set", "br0", "quene=1"),
    "one good and one bad setting": ("fail-mode", "set", "br0", "queue=7", "fail-mode=none"),
    "a gateway that is nowhere": ("gateway", "set", "br0", "gateway=10.9.9.9"),
    "a group address as MAC": ("mac", "set", "br0", "mac=01:00:00:00:00:01"),
    "no address": ("prefix length", "set", "br0", "address=10.0.0.5"),
    "a network-key that is missing": ("cannot be read", "set", "br0", "queue=7", "network-key=/nowhere"),
    "a directory as network-key": ("is a directory", "set", "br0", "network-key=/etc"),
    "keys that are missing": ("private-key", "set-controller", "br0", "tls:10.0.0.99"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_change_says_why_and_changes_nothing(rig: Rig, name: str) -> None:
    about, *words = REFUSED[name]
    taken = str(rig.run_dir / "inband.ctl")
    rig.call("inband/set-controller", "br0", "tcp:10.0.0.99")
    # The kernel's answer about the way there comes a little later.
    assert until(lambda: all(remote["interface"] for remote in rig.show()["in_band"]["remotes"]), 3.0)
    before, flows, state = rig.show(), rig.call("bridge/dump-flows", "br0"), rig.settled_state()

    done = rig.inband(*(word.format(taken=taken) for word in words))

    assert about in one_line(done)
    after = rig.show()
    for document in (before, after):
        document.pop("controllers")
    assert after == before
    assert _rules(rig.call("bridge/dump-flows", "br0")) == _rules(flows)
    assert rig.settled_state() == state


def _rules(dump: str) -> set[str]:
    return {line.split("priority=", 1)[1] for line in dump.splitlines()}


def test_a_refused_change_keeps_a_port_and_the_flows_that_name_it(rig: Rig) -> None:
    taken = f"punix:{rig.run_dir}/inband.ctl"
    rig.config(FILE.replace('["p1", "p2"]', '["p2"]') + f'[[bridge]]\nname = "br1"\ncontroller = "{taken}"\n')

    assert "in use" in rig.refusal("inband/reload")

    assert rig.ports() == {"p1": 1, "p2": 2}
    assert rig.h1.pings("10.0.0.12") == 3


def test_a_reload_moves_a_port_from_one_bridge_to_another_in_one_step(rig: Rig) -> None:
    rig.config(FILE.replace('["p1", "p2"]', '["p1"]') + '[[bridge]]\nname = "br1"\nport = "p2"\n')
    rig.call("inband/reload")
    assert rig.ports("br1") == {"p2": 1}
    rig.config(FILE.replace('["p1", "p2"]', '["p2"]') + '[[bridge]]\nname = "br1"\nport = "p1"\n')

    rig.call("inband/reload")

    assert (rig.ports(), rig.ports("br1")) == ({"p2": 2}, {"p1": 2})
    assert rig.h2.pings("10.0.0.1") == 3


def test_a_reload_that_replaces_a_bridge_hands_its_port_and_its_place_to_the_new_one(rig: Rig) -> None:
    listening = 'controller = "ptcp:7002:127.0.0.1"\n'
    rig.config(FILE.replace('["p1", "p2"]', '["p1"]') + f'[[bridge]]\nname = "br1"\nport = "p2"\n{listening}')
    rig.call("inband/reload")
    rig.config(FILE.replace('["p1", "p2"]', '["p1"]') + f'[[bridge]]\nname = "br2"\nport = "p2"\n{listening}')

    rig.call("inband/reload")

    assert rig.ports("br2") == {"p2": 1}


SETTINGS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "fail-mode=secure": lambda shown: shown["fail_mode"] == "secure",
    "in-band=off": lambda shown: shown["in_band"]["hidden_flows"] == 0,
    "queue=5": lambda shown: shown["in_band"]["queue"] == 5,
    "queue=none": lambda shown: shown["in_band"]["queue"] is None,
    "datapath-id=0xab": lambda shown: shown["datapath_id"] == "00000000000000ab",
    "mac=02:00:00:00:00:77": lambda shown: shown["in_band"]["local_mac"] == "02:00:00:00:00:77",
    "inactivity-probe=700ms": lambda shown: True,
    "max-backoff=1": lambda shown: True,
    "flow-limit=2": lambda shown: True,
    "peer-redirect=off": lambda shown: True,
    "openflow-version=1.3": lambda shown: True,
    "address=10.0.0.1/24,10.0.0.2/24": lambda shown: True,
    "gateway=10.0.0.11": lambda shown: True,
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_each_setting_can_be_set_while_the_switch_runs(rig: Rig, setting: str) -> None:
    rig.call("inband/set", "br0", setting)

    assert until(lambda: SETTINGS[setting](rig.show()), 2.0)
    if not setting.startswith("fail-mode"):
        assert rig.h1.pings("10.0.0.1") == 3


def test_a_mac_can_be_set_and_set_back_and_controllers_are_told(rig: Rig) -> None:
    first = rig.show()["in_band"]["local_mac"]

    for mac in ("02:00:00:00:00:01", first, "02:00:00:00:00:02", first):
        rig.call("inband/set", "br0", f"mac={mac}")

        assert until(partial(_has_local_mac, rig, mac), 2.0)
        assert rig.box.mac("br0") == mac
        (local,) = [port["mac"] for port in rig.show()["ports"] if port["name"] == "br0"]
        assert local == mac


def _has_local_mac(rig: Rig, mac: str) -> bool:
    return bool(rig.show()["in_band"]["local_mac"] == mac)


def test_addresses_and_gateway_follow_and_what_others_set_stays(rig: Rig) -> None:
    rig.box.ip("addr add 10.0.0.77/24 dev br0")

    rig.call("inband/set", "br0", "address=10.0.0.3/24", "gateway=10.0.0.12")

    lines = [line for line in rig.state() if line.startswith("br0 ") and "inet " in line]
    assert {line.split("inet ")[1].split()[0] for line in lines} == {"10.0.0.3/24", "10.0.0.77/24"}
    assert "via 10.0.0.12 dev br0" in rig.box.run("ip", "route")
    rig.box.ip("addr del 10.0.0.77/24 dev br0")


def test_the_bridges_own_interface_is_made_again_when_somebody_removes_it(rig: Rig) -> None:
    rig.h1.ip("neigh flush all")
    rig.box.ip("link del br0")

    assert until(lambda: rig.h1.pings("10.0.0.1", count=1) == 1, 3.0)
    assert "made again" in rig.log()
    assert rig.ports() == {"p1": 1, "p2": 2}


def test_commands_of_another_switch_work_on_the_control_socket(rig: Rig) -> None:
    def appctl(*words: str) -> str:
        return rig.box.run("ovs-appctl", "-t", f"{rig.run_dir}/inband.ctl", *words)

    rig.h1.pings("10.0.0.12")

    assert "bridge/dump-flows" in appctl("list-commands")
    assert "priority=180000" in appctl("bridge/dump-flows", "br0")
    assert rig.h1.mac("eth0") in appctl("fdb/show", "br0")
    assert "br0" in appctl("coverage/show")
    assert appctl("version").startswith("inband")


@pytest.mark.parametrize("words", [("show", "--what"), ("set-controller", "br0"), ("nonsense",), ("trace", "br0")])
def test_wrong_usage_ends_with_2(rig: Rig, words: tuple[str, ...]) -> None:
    assert rig.inband(*words).returncode == 2
