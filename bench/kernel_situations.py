"""What is measured in networks of their own, built anew for each round: a flood of new flows, a crash, a full cache.

The scenes are those of in-band control (``lab``): the controller, which installs nothing, is reached
through the switch whose datapath is under load.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

from bench import kernel_figures, throughput
from bench.kernel_figures import TRAFFIC, Figures, percentile
from bench.kernel_networks import EBPF, METERED, PREFIX, switched_network
from bench.kernel_traffic import FORBIDDEN
from lab import topology
from lab.journal import until
from lab.measure import up
from lab.metered import passed as tcp_passed
from lab.net import Lab, Namespace
from lab.scene import Scene
from lab.switch import SwitchMaker

METER_PPS, OFFERED_PPS, METER_S = 10_000, 60_000, 4.0
# Of one stream TCP itself sends less than a meter lets pass.
METER_KBPS, STREAMS = 2_000_000, 8
FLOOD_S = 4.0
MASKS_S, PASSING_S = 4.0, 1.5
CRASH_PPS, CRASH_S = 15_000, 4.0
# Flows are known and the next ones of the process are not yet asked for.
BEFORE_CRASH_S, DEAD_S = 1.0, 0.5
BACK_S = 10.0
MANY_S = 300.0
_MS = 1e3


def _two_hosts(lab: Lab) -> topology.Topology:
    return topology.with_hosts(topology.same_subnet(lab), 2)


def flood(make: SwitchMaker) -> Figures:
    """The control channel while a host sends frames of ever new flows as fast as it can; empty: it never came up."""
    with up(make, _two_hosts) as stage:
        if stage is None:
            return {}
        stage.switch.ofctl("add-flow", "priority=0,actions=NORMAL")
        (host, _), (other, target) = stage.topology.hosts["h1"], stage.topology.hosts["h2"]
        assert host.pings(target) == 3
        received = other.counter("eth0", "rx_packets")
        start = time.monotonic()
        host.run(*TRAFFIC, "flood", "eth0", other.mac("eth0"), f"{FLOOD_S}")
        end = time.monotonic()
        time.sleep(1.0)  # replies that are still under way
        return {
            "flood_silence_s": stage.silence(start, end),
            "flood_echo_p99_ms": percentile(_round_trips(stage, start, end), 99) * _MS,
            "flood_forwarded_per_s": (other.counter("eth0", "rx_packets") - received) / FLOOD_S,
            "flood_sessions_lost": stage.lost(),
        }


def _round_trips(stage: Scene, start: float, end: float) -> list[float]:
    """Of all echoes that were asked for in this time and answered, and how long those have waited that were not."""
    echoes = stage.controller.journal.entries("echo")
    found = [float(each.details["rtt"]) for each in echoes if start <= each.t - float(each.details["rtt"]) <= end]
    return found or [end - start]


def crash(make: SwitchMaker) -> Figures:
    """Kill -9 and a restart while datagrams of one known flow pass; empty: the channel never came up.

    The controller installs nothing, so what is lost until the end is lost for want of a flow, too.
    """
    with up(make, _two_hosts) as stage:
        if stage is None:
            return {}
        stage.switch.ofctl("add-flow", "priority=0,actions=NORMAL")
        (host, _), (other, target) = stage.topology.hosts["h1"], stage.topology.hosts["h2"]
        receiver = other.start(*TRAFFIC, "receive", target, label="receive")
        assert until(lambda: "ready" in receiver.tail(), BACK_S)
        assert host.pings(target) == 3
        sender = host.start(*TRAFFIC, "send", target, f"{CRASH_PPS}", f"{CRASH_S}", label="send")
        time.sleep(BEFORE_CRASH_S)
        stage.switch.kill9()
        time.sleep(DEAD_S)
        start = time.monotonic()
        stage.switch.restart()
        back = stage.controller.journal.wait_up(stage.dpids, BACK_S, since=start)
        sender.wait(CRASH_S + BACK_S)
        assert until(lambda: "received" in receiver.tail(), BACK_S)
        received = json.loads(receiver.tail().splitlines()[-1])["received"]
        figures = {"crash_lost": CRASH_PPS * CRASH_S - received}
        return figures | ({"crash_back_s": max(back.values()) - start} if back else {})


def metered(make: SwitchMaker) -> Figures:
    """What passes a meter that many times as much is offered to, without the burst at the beginning."""
    with Lab(PREFIX) as lab:
        network = switched_network(lab, make, METERED)
        kernel_figures.prepare(make.name, network)
        hosts, switch = network.hosts, network.switch
        assert switch is not None
        burst = METER_PPS // 10
        switch.ofctl("mod-meter", f"meter=1,pktps,burst,band=type=drop,rate={METER_PPS},burst_size={burst}")
        received, seconds = _numbered(hosts.left, hosts.right, throughput.RIGHT_IP, OFFERED_PPS, METER_S)
        # Without a size bursts are of a second, in which TCP is back from a time-out.
        switch.ofctl("mod-meter", f"meter=1,kbps,band=type=drop,rate={METER_KBPS}")
        passed = tcp_passed(hosts.left, hosts.right, throughput.RIGHT_IP, METER_KBPS * 1e3, STREAMS, METER_S)
        return {"metered_per_s": (received - burst) / seconds, "metered_gbit_s": passed / 1e9}


def _numbered(left: Namespace, right: Namespace, target: str, rate: int, seconds: float) -> tuple[int, float]:
    """Numbered datagrams of one host that reach another one, and how long it sent them."""
    receiver = right.start(*TRAFFIC, "receive", target, label="receive")
    assert until(lambda: "ready" in receiver.tail(), BACK_S)
    took = json.loads(left.run(*TRAFFIC, "send", target, f"{rate}", f"{seconds}"))["seconds"]
    assert until(lambda: "received" in receiver.tail(), BACK_S)
    return int(json.loads(receiver.tail().splitlines()[-1])["received"]), float(took)


def masks(make: SwitchMaker) -> Figures:
    """How much of others' frames passes while a host makes as many masks as it can; empty: the channel is not up."""
    with up(make, lambda lab: topology.with_hosts(topology.same_subnet(lab), 3)) as stage:
        if stage is None:
            return {}
        source, destination, *ports = FORBIDDEN
        stage.switch.ofctl("add-flow", "priority=0,actions=NORMAL")
        for what in (f"nw_src={source}", f"nw_dst={destination}", f"tp_src={ports[0]}", f"tp_dst={ports[1]}"):
            stage.switch.ofctl("add-flow", f"priority=9,udp,{what},actions=drop")
        (attacker, _), (left, _), (right, target) = (stage.topology.hosts[name] for name in ("h1", "h2", "h3"))
        assert attacker.pings(target) == 3
        assert left.pings(target) == 3
        before = _passed(left, right, target)
        attack = attacker.start(*TRAFFIC, "masks", "eth0", right.mac("eth0"), f"{MASKS_S}", label="masks")
        time.sleep(1.0)  # what it makes is there
        during = _passed(left, right, target)
        attack.wait(MASKS_S + BACK_S)
        return {"masks_kept": during / before, "masks_sessions_lost": stage.lost()}


def _passed(left: Namespace, right: Namespace, target: str) -> int:
    """Frames of one flow that arrive in a second and a half."""
    before = right.counter("eth0", "rx_packets")
    left.run(*TRAFFIC, "frames", "eth0", right.mac("eth0"), target, f"{PASSING_S}")
    return right.counter("eth0", "rx_packets") - before


def megaflows(make: SwitchMaker) -> Figures:
    """What very many megaflows cost the eBPF datapath; empty for others."""
    if make is not EBPF:
        return {}
    with Lab(PREFIX) as lab:
        network = throughput.with_switch(lab)[1]
        command = (sys.executable, "-m", "bench.kernel_megaflows", "p1", "p2")
        return dict(json.loads(network.run(*command, timeout_s=MANY_S)))


ALL: tuple[Callable[[SwitchMaker], Figures], ...] = (metered, flood, masks, crash, megaflows)
