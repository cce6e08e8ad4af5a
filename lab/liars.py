"""Networks with two hosts on the last switch, one that lies and one that hears; what a lie costs, and whom it reaches.

The hosts are the wires themselves, past every stack.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from lab import frames, topology
from lab.addressing import IPV6
from lab.inband import OnDatapath
from lab.net import Lab
from lab.scene import Scene, scene
from lab.topology import BridgePlan, Site, Topology
from lab.wire import Wire

REMOTE, LIAR_MAC = "10.0.0.100", "02:00:de:ad:be:ef"
UP_S, SETTLED_S = 10.0, 1.0
ATTACKER, _HEARER = "liar", "hearer"
_LINKS = {1: (), 2: ((1, 2),), 3: ((1, 2), (2, 3), (3, 1))}
"""By number of switches, between which of them there are links: one, a row of two, a ring of three."""


@dataclass(slots=True)
class Lie:
    """What a host says: the frame is made from the controller's MAC address and that of the last switch."""

    name: str
    frame: Callable[[str, str], bytes]


LIES = (
    Lie("the controller's MAC address", lambda mac, _: frames.arp_reply(mac, REMOTE)),
    Lie("another MAC address", lambda _, __: frames.arp_reply(LIAR_MAC, REMOTE)),
    Lie("another, to the switch alone", lambda _, here: frames.arp_reply(LIAR_MAC, REMOTE, to=here)),
    Lie(
        "data from its MAC address",
        lambda mac, _: frames.udp(mac, frames.BROADCAST, "10.0.0.66", "10.0.0.67", b"x" * 60),
    ),
)


def network(lab: Lab, switches: int) -> Topology:
    """Lay so many switches; the controller hangs on the first."""
    controller = lab.namespace("c")
    places = [lab.namespace(f"s{number}") for number in range(1, switches + 1)]
    ports: list[list[str]] = [[] for _ in places]
    lab.link(controller, "eth0", places[0], "north")
    ports[0].append("north")
    for one, two in _LINKS[switches]:
        lab.link(places[one - 1], f"to{two}", places[two - 1], f"to{one}")
        ports[one - 1].append(f"to{two}")
        ports[two - 1].append(f"to{one}")
    hosts = {}
    for number, name in enumerate((ATTACKER, _HEARER), 66):
        hosts[name] = (lab.namespace(name), f"10.0.0.{number}")
        lab.link(hosts[name][0], "eth0", places[-1], name)
        ports[-1].append(name)
    controller.address("eth0", f"{REMOTE}/24")
    sites = tuple(
        Site(place, (BridgePlan("br0", tuple(ports[at]), f"10.0.0.{at + 1}/24", controller=REMOTE),))
        for at, place in enumerate(places)
    )
    return Topology(f"{switches} and a liar", lab, controller, REMOTE, sites, hosts=hosts)


@contextmanager
def under_orders(switches: int, datapath: str, orders: Sequence[str]) -> Iterator[Scene | None]:
    """A network whose controller has these orders, or none but to drop everything; None if it does not come up."""
    with scene(OnDatapath(datapath), lambda lab: network(lab, switches), echo_s=0.05) as stage:
        stage.connect()
        if not stage.all_up(UP_S):
            yield None
            return
        for order in orders or ("drop",):
            stage.controller.order(order)
        time.sleep(SETTLED_S)
        yield stage


def cost_of(
    lie: Lie, switches: int, per_second: float, seconds: float, datapath: str = "userspace", *orders: str
) -> tuple[float, int] | None:
    """Let a host lie so often; return the longest silence of any switch and how many lies another host heard.

    The controller drops everything unless other orders are given. None when the switches do not come up.
    """
    with under_orders(switches, datapath, orders) as stage:
        return None if stage is None else _lie(stage, lie, per_second, seconds)


def rogue_router(hop_limit: int, preference: str, datapath: str = "userspace") -> float | None:
    """Let a host say three times that it is the router, where the controller is behind one; drop everything.

    Returns the longest silence in the 5 s after that; None when the switch does not come up.
    """
    with scene(OnDatapath(datapath), lambda lab: topology.with_hosts(behind(lab), 1, IPV6), echo_s=0.05) as stage:
        stage.connect()
        if not stage.all_up(UP_S):
            return None
        stage.controller.order("drop")
        time.sleep(SETTLED_S)
        host, _ = stage.topology.hosts["h1"]
        wire, mac, start = stage.lab.hold(Wire(host, "eth0")), host.mac("eth0"), time.monotonic()
        for _ in range(3):
            wire.send(frames.router_advertisement(mac, "fe80::66", 600, preference, hop_limit))
            time.sleep(0.1)
        return stage.watch(5.0 - (time.monotonic() - start))


def behind(lab: Lab) -> Topology:
    """Lay one switch that reaches its controller over a gateway, by IPv6."""
    return topology.behind_gateway(lab, IPV6)


def _lie(stage: Scene, lie: Lie, per_second: float, seconds: float) -> tuple[float, int]:
    here = stage.topology.sites[-1].namespace.mac("br0")
    frame = lie.frame(stage.topology.controller.mac("eth0"), here)
    liar, hearer = (stage.lab.hold(Wire(stage.topology.hosts[name][0], "eth0")) for name in (ATTACKER, _HEARER))
    hearer.take(0.0)
    start = time.monotonic()
    for number in range(max(1, int(per_second * seconds))):
        time.sleep(max(0.0, start + number / per_second - time.monotonic()))
        liar.send(frame)
    time.sleep(max(0.0, start + seconds - time.monotonic()))
    return stage.silence(start, time.monotonic()), hearer.take(0.0).count(frame)
