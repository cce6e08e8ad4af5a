"""What happens to the control channel, as figures: one function per situation, the same for every switch.

Seconds; None means "never, within the time allowed". The benchmark prints the figures; the system tests hold them
against bounds wide enough for a busy machine.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from lab import frames, special, topology
from lab.addressing import IPV4, Addressing
from lab.controllers import LabController
from lab.journal import until
from lab.messages import NO_FWD, NO_RECV, PORT_DOWN
from lab.net import Lab, Namespace
from lab.sampler import Flows, Sampler
from lab.scene import Layer, Scene, scene
from lab.switch import Hidden, SwitchMaker, cpu_s, memory_mb

SETTLE_S = 0.3
"""Between "it is up" and the next act: what came up with it (second SYNs, gratuitous ARP) is over by then."""
PYTHON = sys.executable


@dataclass(frozen=True, slots=True)
class Change:
    """How a switch took a change: ``rules_s`` until its hidden flows followed, ``silence_s`` of its session."""

    rules_s: float | None
    silence_s: float
    absent_s: float = 0.0


def first_connection(make: SwitchMaker, lay: Layer, wait_s: float = 6.0) -> float | None:
    """Return the seconds from telling the last switch its controller to the last FEATURES_REPLY, cold caches."""
    with scene(make, lay) as stage:
        stage.connect()
        return stage.up_after(wait_s)


def nearest_last(make: SwitchMaker, lay: Layer, pause_s: float, wait_s: float) -> float | None:
    """Return the same when the switches behind have tried in vain for a while before the nearest is told."""
    with scene(make, lay) as stage:
        stage.connect_nearest_last(pause_s)
        return stage.up_after(wait_s)


def lease_and_connection(
    make: SwitchMaker, lay: Layer = topology.address_by_dhcp, wait_s: float = 10.0
) -> float | None:
    """Return the seconds from the switch being ready (its DHCP client starting) to FEATURES_REPLY: T7."""
    with scene(make, lay) as stage:
        return stage.up_after(wait_s)


def hostile_silence(make: SwitchMaker, lay: Layer, seconds: float, *orders: str) -> float | None:
    """Return the longest silence of any switch while the controller does harm for so long; None: not all were up."""
    with up(make, lay) as stage:
        if stage is None:
            return None
        for order in orders:
            stage.controller.order(order)
        return stage.watch(seconds)


@contextlib.contextmanager
def up(make: SwitchMaker, lay: Layer, wait_s: float = 10.0) -> Iterator[Scene | None]:
    """Build a scene whose switches are all up, or None when they do not come up."""
    with scene(make, lay) as stage:
        stage.connect()
        if stage.all_up(wait_s):
            time.sleep(SETTLE_S)
            yield stage
        else:
            yield None


def port_modification(make: SwitchMaker, seconds: float) -> tuple[float, int, int] | None:
    """Return the silence with every port and LOCAL no-receive, no-forward and down, and the pings before and then."""

    def lay(lab: Lab) -> topology.Topology:
        return topology.with_hosts(topology.same_subnet(lab), 2)

    with up(make, lay) as stage:
        if stage is None:
            return None
        host, target = stage.topology.hosts["h1"][0], stage.topology.hosts["h2"][1]
        stage.switch.ofctl("add-flow", "priority=1,actions=NORMAL")
        before = host.pings(target)
        start = time.monotonic()
        stage.controller.order(f"port-mod {PORT_DOWN | NO_RECV | NO_FWD}")
        time.sleep(0.5)
        during = host.pings(target, wait_s=0.5)
        time.sleep(max(0.0, start + seconds - time.monotonic()))
        return stage.silence(start, time.monotonic()), before, during


def full_table(make: SwitchMaker, limit: int = 100) -> tuple[str, float | None] | None:
    """Fill the table to its limit, then add a controller: return the letters of its hidden flows and when it was up."""
    second = "10.0.0.101"
    with up(make, topology.same_subnet) as stage:
        if stage is None:
            return None
        namespace = stage.topology.controller
        namespace.address("eth0", f"{second}/24")
        other = LabController(namespace, port=6654)
        stage.switch.set_flow_limit(limit)
        stage.controller.order(f"fill {limit + 20}")
        until(lambda: bool(stage.controller.journal.entries("error")), 5.0)
        stage.controller.order("calm")
        start = time.monotonic()
        stage.switch.set_controllers(stage.topology.target, f"tcp:{second}:6654")
        found = other.journal.wait_up(stage.dpids, 6.0)
        rules = {each.letter for each in stage.switch.hidden() if second in each.match}
        return "".join(sorted(rules)), max(found.values()) - start if found else None


def gateway_mac(make: SwitchMaker, how: str, wait_s: float, on: Addressing = IPV4) -> Change | None:
    """Change the gateway's MAC address under a session.

    ``how``: `announced` by gratuitous ARP or unsolicited advertisement; `silent`, but it asks for the switch's MAC when
    it forwards to it; `mute`: it knows the switch's MAC, so not even that: only who probes it finds out.
    """
    with up(make, lambda lab: topology.behind_gateway(lab, on)) as stage, contextlib.ExitStack() as stack:
        if stage is None:
            return None
        gateway, mac = stage.topology.gateways[0], new_mac()
        says = int(how == "announced")
        gateway.sysctl(net__ipv4__conf__eth1__arp_notify=says, net__ipv6__conf__eth1__ndisc_notify=says)
        switch_mac = stage.topology.sites[0].namespace.mac("br0")
        switch = on.addresses(on.near, 1) if how == "mute" else ()
        known = [f"neigh replace {each} lladdr {switch_mac} dev eth1 nud permanent" for each in switch]
        sampler = stack.enter_context(Sampler(stage.switch))
        start = time.monotonic()
        gateway.ip(f"link set dev eth1 address {mac}", *known)
        rules = sampler.wait(lambda flows: has_mac(flows, "de", mac), start, wait_s)
        _wait_echo(stage, start, wait_s)
        return Change(rules, stage.silence(start, time.monotonic()))


def route_moves(make: SwitchMaker, wait_s: float, on: Addressing = IPV4) -> Change | None:
    """Let the route to the controller go over the other gateway: a narrower one, for the default route is kept."""
    with up(make, lambda lab: special.two_gateways(lab, on)) as stage, contextlib.ExitStack() as stack:
        if stage is None:
            return None
        mac = stage.topology.gateways[1].mac("eth1")
        sampler = stack.enter_context(Sampler(stage.switch))
        start = time.monotonic()
        other = on.addresses(on.near, special.GATEWAYS[1])[0]
        stage.topology.sites[0].namespace.route(stage.topology.remote, other)
        rules = sampler.wait(lambda flows: has_mac(flows, "de", mac), start, wait_s)
        time.sleep(1.0)
        return Change(rules, stage.silence(start, time.monotonic()))


def default_route_elsewhere(make: SwitchMaker, wait_s: float = 6.0) -> bool | None:
    """Tell whether (d) and (e) name the right gateway's MAC when the default route leaves by another interface."""
    with scene(make, special.other_default_route) as stage:
        special.narrow_route(stage.topology)
        stage.connect()
        if not stage.all_up(wait_s):
            return None
        right = stage.topology.gateways[0].mac("eth1")
        found = until(lambda: has_mac(stage.switch.hidden(), "de", right), 2.0)
        return found and all(right in each.match for each in stage.switch.hidden() if each.letter in "de")


def local_mac(make: SwitchMaker, wait_s: float = 5.0, on: Addressing = IPV4) -> Change | None:
    """Change the local port's MAC address: when (a) to (c) follow, and how long (d) or (e) were absent."""
    with up(make, lambda lab: topology.behind_gateway(lab, on)) as stage, contextlib.ExitStack() as stack:
        if stage is None:
            return None
        mac = new_mac()
        sampler = stack.enter_context(Sampler(stage.switch))
        start = time.monotonic()
        stage.switch.set_mac(mac)
        rules = sampler.wait(lambda flows: has_mac(flows, "abc", mac), start, wait_s)
        time.sleep(2.0)
        absent = sampler.absence(lambda flows: has_letters(flows, "de"), start)
        return Change(rules, stage.silence(start, time.monotonic()), absent)


def crash(make: SwitchMaker, wait_s: float = 10.0) -> float | None:
    """Kill the switch and start it again at once: return the seconds from the start to the first echo reply."""
    with up(make, topology.same_subnet) as stage:
        if stage is None:
            return None
        stage.switch.kill9()
        start = time.monotonic()
        stage.switch.restart()
        found = stage.controller.journal.wait_up(stage.dpids, wait_s, since=start)
        return max(found.values()) - start if found else None


@dataclass(frozen=True, slots=True)
class Managers:
    """What many managers cost: seconds until installed, idle CPU share, memory, and the session's silence meanwhile."""

    installed_s: float | None
    cpu_share: float
    memory_mb: float
    silence_s: float


def managers(make: SwitchMaker, count: int, idle_s: float) -> Managers | None:
    """Protect many managers beside a live session.

    The silence is taken first and undisturbed: a dump of thousands of flows is work for a switch, too.
    """
    targets = [f"tcp:10.{1 + number // 62500}.{number // 250 % 250}.{number % 250 + 1}:6640" for number in range(count)]
    with up(make, topology.behind_gateway) as stage:
        if stage is None:
            return None
        memory, start = memory_mb(stage.switch.pids()), time.monotonic()
        stage.switch.set_managers(*targets)
        time.sleep(2.0 + count / 2500)
        before, since = cpu_s(stage.switch.pids()), time.monotonic()
        time.sleep(idle_s)
        share = (cpu_s(stage.switch.pids()) - before) / (time.monotonic() - since)
        silence = stage.silence(start, time.monotonic())
        memory = memory_mb(stage.switch.pids()) - memory
        stage.switch.set_managers()
        return Managers(_installed(stage, targets, 10.0), share, memory, silence)


def _installed(stage: Scene, targets: list[str], wait_s: float) -> float | None:
    """Set the managers and return the seconds until the question whose answer had all their flows was asked."""
    start = time.monotonic()
    stage.switch.set_managers(*targets)
    with stage.switch.control() as control:
        while (asked := time.monotonic()) < start + wait_s:
            if control.call("bridge/dump-flows", "br0").count("tp_dst=6640") >= len(targets):
                return asked - start
    return None


def other_chaddr(make: SwitchMaker) -> int | None:
    """Return how many of five DHCP replies for another host's hardware address reached LOCAL under drop-all."""
    with up(make, topology.same_subnet) as stage:
        if stage is None:
            return None
        stage.controller.order("drop")
        time.sleep(SETTLE_S)
        sender = stage.topology.controller
        source = sender.mac("eth0")
        frame = frames.dhcp_reply(source, frames.BROADCAST, stage.topology.remote, "255.255.255.255", new_mac())
        return len(_through(sender, "eth0", stage.topology.sites[0].namespace, "br0", frame, 10.0, 0.5))


def lease(make: SwitchMaker, policy: str, wait_s: float = 10.0) -> float | None:
    """Return the seconds from the start of a DHCP client on LOCAL to its address, under this flow for everything."""
    with up(make, topology.same_subnet) as stage:
        if stage is None:
            return None
        topology.dhcp_server(stage.topology.controller, "eth0", "10.0.0.10,10.0.0.90")
        stage.switch.ofctl("add-flow", f"priority=65535,actions={policy}")
        namespace = stage.topology.sites[0].namespace
        script = stage.lab.folder / "udhcpc.sh"
        script.write_text('#!/bin/sh\n[ "$1" = bound ] && ip addr add "$ip/24" dev "$interface"\nexit 0\n')
        script.chmod(0o755)
        start = time.monotonic()
        namespace.start(
            "udhcpc", "-f", "-n", "-q", "-t", "5", "-T", "1", "-i", "br0", "-s", str(script), label="udhcpc"
        )
        got = until(lambda: namespace.run("ip", "-o", "-4", "addr", "show", "dev", "br0").count("inet") > 1, wait_s)
        return time.monotonic() - start if got else None


_CALL = """
import socket, sys, time
to, port, own, source = sys.argv[1:]
with socket.create_connection((to, int(port)), 5.0, (own, int(source))) as connection:
    print("answered", connection.recv(8), flush=True)
    time.sleep(60.0)
"""


def comings_and_goings(make: SwitchMaker, seconds: float) -> tuple[int, int, frozenset[Hidden]] | None:
    """Add and remove a second controller and managers and change the queue, over and over, under drop-all.

    Return the probes lost of those sent (1,000 a second, TCP to the controller from a host that it has answered, for
    others have a budget), the samples taken, and the flows that should stay and were missing in a sample. Actions are
    left out: the queue changes them.
    """

    def lay(lab: Lab) -> topology.Topology:
        return topology.with_hosts(topology.same_subnet(lab), 1)

    with up(make, lay) as stage, contextlib.ExitStack() as stack:
        if stage is None:
            return None
        stage.controller.order("drop")
        host, address = stage.topology.hosts["h1"]
        remote = stage.topology.controller
        frame = frames.tcp_reset(host.mac("eth0"), remote.mac("eth0"), address, stage.topology.remote, topology.PORT)
        words = (stage.topology.remote, str(topology.PORT), address, str(frames.CALLER))
        calling = host.start(PYTHON, "-c", _CALL, *words, label="call")
        assert until(lambda: "answered" in calling.tail(), 10.0), calling.tail()
        stay = {(each.letter, each.match) for each in stage.switch.hidden()}
        assert has_letters(stage.switch.hidden(), "abcdefghi"), "nothing to go missing"
        sampler = stack.enter_context(Sampler(stage.switch))
        start = time.monotonic()
        with through(host, "eth0", remote, "eth0", frame, 1000.0, seconds) as arrived:
            while time.monotonic() < start + seconds + 1.0:
                _come_and_go(stage)
        lost = int(seconds * 1000) - len(set(arrived))
        seen = [{(each.letter, each.match) for each in flows} for _, flows in sampler.since(start)]
        gone = {each for flows in seen for each in stay - flows}
        return lost, sampler.count, frozenset(Hidden(letter, match, "") for letter, match in gone)


def _come_and_go(stage: Scene) -> None:
    target = stage.topology.target
    stage.switch.set_controllers(target, "tcp:10.0.0.150:6653")
    stage.switch.set_queue(1)
    stage.switch.set_managers("tcp:10.0.0.151:6640", "tcp:10.0.0.100:6640")
    stage.switch.set_queue(2)
    stage.switch.set_controllers(target)
    stage.switch.set_queue(None)
    stage.switch.set_managers()


def throughput(make: SwitchMaker, seconds: float, rounds: int) -> list[float] | None:
    """Return the TCP throughput between two hosts (iperf3, one stream, NORMAL) of each round, in Gbit/s."""

    def lay(lab: Lab) -> topology.Topology:
        return topology.with_hosts(topology.same_subnet(lab), 2)

    with up(make, lay) as stage:
        if stage is None:
            return None
        stage.switch.ofctl("add-flow", "priority=1,actions=NORMAL")
        (host, _), (other, target) = stage.topology.hosts["h1"], stage.topology.hosts["h2"]
        other.start("iperf3", "-s", "-B", target, label="iperf3")
        if not until(lambda: host.pings(target, count=1) == 1, 5.0):
            return None
        time.sleep(0.5)  # the server opens its socket
        return [_iperf(host, target, seconds) for _ in range(rounds)]


def _iperf(host: Namespace, target: str, seconds: float) -> float:
    report = json.loads(host.run("iperf3", "-J", "-c", target, "-t", str(seconds), timeout_s=seconds + 20))
    return float(report["end"]["sum_received"]["bits_per_second"]) / 1e9


@contextlib.contextmanager
def through(
    source: Namespace, out: str, sink: Namespace, into: str, frame: bytes, rate: float, seconds: float
) -> Iterator[list[int]]:
    """Send numbered frames from one interface and catch them at another meanwhile; the list is full on exit."""
    probe = ("-m", "lab.probe")
    arrived: list[int] = []
    catcher = sink.start(PYTHON, *probe, "catch", into, frame.hex(), str(seconds + 2.0), label="catch")
    assert until(lambda: "ready" in catcher.tail(), 10.0)
    sender = source.start(PYTHON, *probe, "send", out, frame.hex(), str(rate), str(seconds), label="send")
    yield arrived
    sender.wait(seconds + 10.0)
    catcher.tell("all was sent")
    catcher.wait(seconds + 10.0)
    arrived += map(int, catcher.tail().split()[1:])


def _through(
    source: Namespace, out: str, sink: Namespace, into: str, frame: bytes, rate: float, seconds: float
) -> list[int]:
    with through(source, out, sink, into, frame, rate, seconds) as arrived:
        pass
    return arrived


def _wait_echo(stage: Scene, since: float, wait_s: float) -> None:
    """Wait until the session lives again: three echo replies within half a second, after ``since``."""
    journal = stage.controller.journal

    def alive() -> bool:
        recent = [each.t for each in journal.entries("echo", since=since + 0.3)]
        return len(recent) > 3 and recent[-1] - recent[-4] < 0.5

    until(alive, wait_s)


def has_mac(flows: Flows, letters: str, mac: str) -> bool:
    """Tell whether each of these letters has a flow that names this MAC address."""
    return all(any(each.letter == letter and mac in each.match for each in flows) for letter in letters)


def has_letters(flows: Flows, letters: str) -> bool:
    """Tell whether each of these letters has a flow."""
    return set(letters) <= {each.letter for each in flows}


def new_mac() -> str:
    """Return a locally administered address that is not in use yet."""
    return "02:" + ":".join(f"{byte:02x}" for byte in secrets.token_bytes(5))
