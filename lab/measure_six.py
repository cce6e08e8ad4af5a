"""What happens to the control channel over IPv6, as figures: see :mod:`lab.measure`.

Here are the situations that IPv4 does not have: duplicate address detection, routers that announce themselves, both
families at once.
"""

from __future__ import annotations

import contextlib
import re
import time
from datetime import datetime

from lab import measure, six
from lab.journal import until
from lab.net import Lab, Namespace
from lab.process import Process
from lab.sampler import Sampler
from lab.scene import Layer, Scene, scene
from lab.switch import SwitchMaker
from lab.topology import Topology

_USABLE = re.compile(r"\[(\S+)\] \d+: br0 +inet6 ([0-9a-f:]+)/\d+ (?!.*tentative)")


def first_connection(make: SwitchMaker, lay: Layer, wait_s: float = 6.0) -> float | None:
    """Return the seconds from telling the last switch its controller to the last FEATURES_REPLY, cold caches.

    They are told when duplicate address detection is done.
    """
    with scene(make, lay) as stage:
        detected = [until(lambda each=each: _is_settled(each.namespace), 5.0) for each in stage.topology.sites]  # type: ignore[misc]
        stage.connect()
        return stage.up_after(wait_s) if all(detected) else None


def connection_after_detection(make: SwitchMaker, lay: Layer, wait_s: float = 6.0) -> float | None:
    """Return the seconds from the address of one switch being usable, or its being told, to FEATURES_REPLY.

    It is told its controller while duplicate address detection runs.
    """
    monitors: list[Process] = []

    def watched(lab: Lab) -> Topology:
        made = lay(lab)
        monitors.append(made.sites[0].namespace.start("ip", "-ts", "-6", "monitor", "address", label="monitor"))
        return made

    with scene(make, watched) as stage:
        stage.connect()
        if not stage.all_up(wait_s):
            return None
        journal = stage.controller.journal
        (up, *_) = journal.entries("features_reply")
        peer = next(each.details["peer"] for each in journal.entries("accept") if each.conn == up.conn)
        return up.t - max(_usable_at(monitors[0], peer), stage.since)


def in_both_families(stage: Scene, wait_s: float) -> bool:
    """Tell whether every switch gets a session over IPv4 and one over IPv6 within this time."""
    journal = stage.controller.journal

    def sessions() -> set[tuple[str, bool]]:
        over_ipv6 = {each.conn: ":" in each.details["peer"] for each in journal.entries("accept")}
        return {(each.dpid, over_ipv6[each.conn]) for each in journal.entries("features_reply")}

    return until(lambda: len(sessions()) == 2 * len(stage.dpids), wait_s)


def router_changes(make: SwitchMaker, how: str, wait_s: float) -> measure.Change | None:
    """Let the way to the controller go over another router, by advertisements alone.

    ``how``: `preferred`: the other one says that it is to be preferred; `ended`: the first one says that it is no
    router any more.
    """
    with scene(make, six.two_routers) as stage, contextlib.ExitStack() as stack:
        first, other = stage.topology.gateways
        stage.connect()
        six.advertise_once(first, six.GATEWAY, "high" if how == "ended" else "medium")
        if how == "ended":
            six.advertise_once(other, six.OTHER_GATEWAY)
        if not stage.all_up(10.0):
            return None
        time.sleep(measure.SETTLE_S)
        mac = other.mac("eth1")
        sampler = stack.enter_context(Sampler(stage.switch))
        start = time.monotonic()
        if how == "ended":
            six.advertise_once(first, six.GATEWAY, lifetime_s=0)
        else:
            six.advertise_once(other, six.OTHER_GATEWAY, "high")
        rules = sampler.wait(lambda flows: measure.has_mac(flows, "de", mac), start, wait_s)
        time.sleep(1.0)
        return measure.Change(rules, stage.silence(start, time.monotonic()))


def _is_settled(host: Namespace) -> bool:
    """Whether no address waits for duplicate address detection."""
    return not host.run("ip", "-6", "-o", "address", "show", "tentative").strip()


def _usable_at(monitor: Process, address: str) -> float:
    """When the kernel said that an address can be used, by the clock of the journals."""
    offset = time.time() - time.monotonic()
    for when, found in _USABLE.findall(monitor.tail(1000)):
        if found == address:
            return datetime.fromisoformat(f"{when}+00:00").timestamp() - offset
    raise AssertionError(f"nothing was said about {address}:\n{monitor.tail()}")
