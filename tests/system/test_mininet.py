"""Mininet with our switch: Mininet's own tests of topologies, in-band control, and the example of the documentation."""

from __future__ import annotations

import re

import pytest

from inband.mininet import CUSTOM_FILE
from lab.mininet import PYTHON, REPOSITORY, run_alone

pytestmark = [pytest.mark.root, pytest.mark.slow]

MN = ("mn", "--custom", str(CUSTOM_FILE))
IN_BAND = ("--switch", "inband,inband=True", "--controller", "inband")


@pytest.mark.parametrize(
    "options",
    [
        ("--switch", "inband,failMode=standalone", "--controller", "none", "--topo", "linear,3"),
        ("--switch", "inband,datapath=user", "--topo", "tree,2"),
        ("--switch", "inband,protocols=OpenFlow13,batch=True", "--topo", "tree,2"),
        (*IN_BAND, "--topo", "inbandline,4"),
    ],
    ids=["standalone", "controller", "OpenFlow13", "in-band"],
)
def test_all_hosts_reach_each_other(options: tuple[str, ...]) -> None:
    said = run_alone(*MN, *options, "--test", "pingall", timeout_s=60)

    pings = re.findall(r"^(h\S+) -> (.*)$", said, re.MULTILINE)
    assert len(pings) >= 3
    assert all("X" not in answers for _, answers in pings), said


def test_a_switch_that_cannot_start_ends_mininet_with_its_words() -> None:
    said = run_alone(*MN, "--switch", "inband,failMode=open", "--topo", "single,2", "--test", "none", timeout_s=60)

    assert "s1: inband did not start: " in said
    assert "--fail-mode" in said


def test_what_scripts_for_ovsswitch_do_works_on_this_switch() -> None:
    said = run_alone(PYTHON, "-c", HABITS, timeout_s=60)

    assert "added ''" in said
    assert "priority=100,arp" in said
    assert "role" in said
    assert "Discarding" in said


HABITS = f"""
import os, sys
sys.path.append(os.path.dirname({str(CUSTOM_FILE)!r}))
from inband_mininet import InbandSwitch
from mininet.net import Mininet
from mininet.topo import Topo
class Twice(Topo):
    def build(self):
        one, two = (self.addSwitch(name, stp=True, failMode="standalone") for name in ("s1", "s2"))
        self.addLink(one, two)
        self.addLink(one, two)
net = Mininet(Twice(), switch=InbandSwitch, controller=None)
net.start()
s1, s2 = net["s1"], net["s2"]
print("added", repr(s1.cmd("ovs-ofctl -O OpenFlow13 add-flow s1 priority=100,arp,actions=flood")))
print(s2.cmd("ovs-ofctl -O OpenFlow13 dump-flows s1"))
ports = [port for switch in (s1, s2) for port in switch.status()["ports"]]  # either may be the root
print("role", [port["rstp"]["state"] for port in ports if port.get("rstp")])
net.stop()
"""


def test_ports_come_and_go_and_flows_are_listed() -> None:
    said = run_alone(PYTHON, "-c", SCRIPT, timeout_s=60)

    assert "before 0.0 without 100.0 again 0.0" in said
    assert "n_packets" in said
    assert "left: []" in said


SCRIPT = f"""
import os, sys
sys.path.append(os.path.dirname({str(CUSTOM_FILE)!r}))
from inband_mininet import InbandSwitch
from mininet.net import Mininet
from mininet.topo import SingleSwitchTopo
net = Mininet(SingleSwitchTopo(2), switch=lambda *a, **k: InbandSwitch(*a, failMode="standalone", **k), controller=None)
net.start()
s1, link = net["s1"], net.linksBetween(net["h1"], net["s1"])[0]
before = net.pingAll()
s1.detach(link.intf2)
without = net.pingAll(timeout=1)
s1.attach(link.intf2)
print("before", before, "without", without, "again", net.pingAll())
print(s1.dpctl("dump-flows"))
net.stop()
print("left:", [name for name in os.listdir("/sys/class/net") if name.startswith("s1")])
"""


def test_switches_that_start_side_by_side_have_the_time_that_all_take() -> None:
    said = run_alone(PYTHON, "-c", SLOW, timeout_s=60)

    assert "three started" in said
    assert "alone: s0: inband did not start" in said


SLOW = f"""
import os, sys, time
from pathlib import Path
sys.path.append(os.path.dirname({str(CUSTOM_FILE)!r}))
import inband_mininet
start = time.monotonic()
class Slow(inband_mininet.InbandSwitch):
    def __init__(self, name):
        self.name, self.folder = name, Path("/run")
    def _runs(self):
        return True
    def _answers(self):
        return time.monotonic() > start + 2.0
inband_mininet.START_S = 1.0
Path("/run/log").write_text("it was slow")
try:
    Slow("s0").wait_until_started(1.0)
except RuntimeError as error:
    print("alone:", error)
start = time.monotonic()
switches = [Slow(f"s{{number}}") for number in range(3)]
print("three started" if list(Slow.batchStartup(switches)) == switches else "not")
"""


def test_the_ring_of_the_examples_heals_after_each_cut() -> None:
    said = run_alone(PYTHON, str(REPOSITORY / "examples/ring_of_eight.py"), timeout_s=110)

    outages = [float(seconds) for seconds in re.findall(r"longest outage ([\d.]+) s", said)]
    assert len(outages) == 8
    assert max(outages) < 2.0, said


def test_a_switch_of_a_running_network_starts_again_and_only_once() -> None:
    said = run_alone(PYTHON, "-c", AGAIN, timeout_s=60)

    assert "forwards at once: 0.0" in said
    assert "is another process: True" in said
    assert "left: []" in said


AGAIN = f"""
import glob, os, sys
sys.path.append(os.path.dirname({str(CUSTOM_FILE)!r}))
from inband_mininet import InbandSwitch
from mininet.net import Mininet
from mininet.topo import SingleSwitchTopo
make = lambda *a, **k: InbandSwitch(*a, failMode="standalone", **k)
net = Mininet(SingleSwitchTopo(2), switch=make, controller=None, autoStaticArp=True)
net["s1"].batch = True  # as `mn` has it
net.start()
s1 = net["s1"]
s1.stop(deleteIntfs=False)  # at the prompt: switch s1 stop, switch s1 start
s1.start([])
print("forwards at once:", net.pingAll(timeout=1))
first = s1.process
s1.start([])
print("is another process:", s1.process != first and not os.path.exists(f"/proc/{{first}}") and s1._answers())
net.stop()
print("left:", [path for path in glob.glob("/proc/[0-9]*/comm") if open(path).read() == "inband\\n"])
"""
