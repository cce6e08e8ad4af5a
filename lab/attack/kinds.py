"""The attacks that a switch must bear, each with a name: what it needs beforehand, and how it is begun and ended.

An attack goes on for as long as it is told, but for those that are one piece of work; then it says what it did. Rates
of attackers and times of single orders are its figures.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from lab.attack.flood import SAID
from lab.attack.running import (
    PLAIN,
    Begin,
    Figures,
    Finish,
    attacker,
    flooding,
    in_thread,
    install,
    places,
    process,
    rounds,
    stranger,
)
from lab.certificates import Authority, TlsFiles
from lab.client import Client, fillers
from lab.controllers import wait_listening
from lab.messages import V13, delete_all, to_controller
from lab.net import CommandError, Lab
from lab.scene import Scene
from lab.topology import Topology, same_subnet, with_hosts
from lab.unixctl import ControlError

TLS, SLOW_PORT = 6701, 6655
ALL_FLOWS = 60_000
AT_ONCE = 1000
"""Flows that are added in one order, where it must end soon after it is told to."""
CHANGES = SAID["modify"] * 2
"""Four changes of every flow."""


@dataclass(frozen=True, slots=True)
class Attack:
    """``begin`` starts it, for so many seconds at least; ``prepare`` is not measured.

    ``leaves_flows``: what it leaves in the flow table is not counted as memory. ``floods_controllers``: those that
    measure do not listen to packet-ins, so that they measure the switch and not themselves. ``targets`` are more
    controllers that the switch is to have.
    """

    name: str
    what: str
    begin: Begin
    prepare: Callable[[Scene], None] = lambda stage: None
    leaves_flows: bool = False
    floods_controllers: bool = False
    targets: tuple[str, ...] = ()


def crowded(lab: Lab, attack: Attack) -> Topology:
    """Lay one switch with a host, which is called at a plain place, at one with TLS, and at its management socket."""
    made = with_hosts(same_subnet(lab), 1)
    site = made.sites[0]
    authority = Authority(lab.folder, "switches")
    tls = TlsFiles(authority.issue("switch"), authority.ca)
    places = (f"ptcp:{PLAIN}:127.0.0.1", f"pssl:{TLS}:127.0.0.1")
    plan = replace(site.bridges[0], more_targets=(*attack.targets, *places), tls=tls)
    return replace(made, sites=(replace(site, bridges=(plan,)),))


def quiet() -> Attack:
    """No attack at all: what the machine itself does to the figures."""
    return Attack("quiet", "no attacker", lambda stage, seconds: dict)


def flood(said: str, sessions: int, flows: int = 0) -> Attack:
    """Sessions that say this as fast as it is read, half of them at the plain place, half at the management socket."""
    over = f" over {flows:,} flows" if flows else ""
    what = f"{sessions} flooder{'s' if sessions > 1 else ''} of {said}{over}"
    return Attack(f"a-{said}-{sessions}", what, flooding(said, "read", sessions), install(flows))


def non_readers(sessions: int, flows: int) -> Attack:
    """Sessions that ask for everything and read nothing."""
    said = "flow-stats+table-features+port-desc+group-desc"
    what = f"{sessions} ask for everything over {flows:,} flows and do not read"
    return Attack("d-non-readers", what, flooding(said, "deaf", sessions), install(flows))


def additions(flows: int) -> Attack:
    """One session adds so many flows."""

    def begin(stage: Scene, seconds: float) -> Finish:
        def add() -> Figures:
            with Client(stage.switch.management()) as client:
                took = client.carry_out(fillers(flows))
            return {"flow_mods_per_s": flows / took, "refused": client.errors}

        return in_thread(add)

    return Attack(f"b-additions-{flows // 1000}k", f"{flows:,} FLOW_MODs of one session", begin, leaves_flows=True)


def changes(flows: int) -> Attack:
    """One session changes every flow, over and over, then deletes all."""

    def begin(stage: Scene, seconds: float) -> Finish:
        def change() -> Figures:
            end = time.monotonic() + seconds
            times: list[float] = []
            with Client(stage.switch.management()) as client:
                while not times or time.monotonic() < end:
                    times.append(client.carry_out(CHANGES) / 4)
                deleted_s = client.carry_out(delete_all(V13, 1))
            return {"modify_s": sum(times) / len(times), "delete_all_s": deleted_s, "refused": client.errors}

        return in_thread(change)

    what = f"non-strict changes, then delete-all, over {flows:,} flows"
    return Attack(f"c-changes-{flows // 1000}k", what, begin, install(flows))


def knocking(rate: int) -> Attack:
    """Connections, half of them to the place with TLS, that come to nothing."""
    where = (f"tcp:127.0.0.1:{PLAIN}", f"tcp:127.0.0.1:{TLS}")
    begin = process(lambda stage: stranger(stage, "strangers", "knock", str(rate), *where))
    return Attack("e-connects", f"{rate:,} connects a second, half of them TLS that never finishes", begin)


def dribbling(senders: int) -> Attack:
    """Senders of a byte each 0.6 s."""
    begin = process(lambda stage: stranger(stage, "strangers", "dribble", str(senders), *places(stage)))
    return Attack("f-slow-senders", f"{senders} slow senders", begin)


def reloading(remotes: int) -> Attack:
    """The configuration gets so many managers, then has none any more, over and over."""
    hosts = ((1 + n // 62500, n // 250 % 250, n % 250 + 1) for n in range(remotes))
    targets = [f"tcp:10.{high}.{middle}.{low}:6640" for high, middle, low in hosts]

    def go_round(stage: Scene, is_over: threading.Event) -> Figures:
        times: list[float] = []
        while not times or not is_over.is_set():
            for wanted in (targets, []):
                start = time.monotonic()
                stage.switch.reload(*wanted)
                times.append(time.monotonic() - start)
        return {"reload_s": max(times), "reloads": len(times)}

    return Attack("g-reload", f"{remotes:,} remotes come and go by reload", rounds(go_round))


def storming(rate: int, bytes_per_s: int) -> Attack:
    """A host sends what no flow was made for, so many frames a second, and one controller reads slowly."""

    def prepare(stage: Scene) -> None:
        with Client(stage.switch.management()) as client:
            client.carry_out(to_controller(V13, 1))
        controller = stage.topology.controller
        slow = ("-m", "lab.slow_controller", str(SLOW_PORT), str(bytes_per_s))
        wait_listening(controller, controller.start(sys.executable, *slow, label="slow"), SLOW_PORT)

    begin = process(lambda stage: attacker(stage.topology.hosts["h1"][0], "storm", "eth0", str(rate)))
    what = f"{rate:,} misses a second to controllers, one of which reads {bytes_per_s:,} bytes a second"
    slow_target = (f"tcp:10.0.0.100:{SLOW_PORT}",)
    return Attack("h-packet-ins", what, begin, prepare, floods_controllers=True, targets=slow_target)


def everything() -> Attack:
    """All of it at once, the flooders five of each kind; the flows that come and go are there before and not counted.

    Who adds and deletes them comes first: slow senders may keep others from finding a place.
    """
    floods = [flood(each, 5) for each in ("echo", "barrier", "unknown", "bad-flow-mod", "flow-stats")]
    storm, going_round = storming(5000, 1000), Attack("b, c", "", rounds(_add_and_delete))
    members = (going_round, *floods, non_readers(4, 0), knocking(1000), dribbling(500), reloading(10_000), storm)

    def prepare(stage: Scene) -> None:
        install(ALL_FLOWS)(stage)
        storm.prepare(stage)

    def begin(stage: Scene, seconds: float) -> Finish:
        ends = [(each.name, each.begin(stage, seconds)) for each in members]
        return lambda: {f"{name} {key}": value for name, end in ends for key, value in _end(end).items()}

    return Attack("i-everything", "all of it at once", begin, prepare, floods_controllers=True, targets=storm.targets)


def _end(finish: Finish) -> Figures:
    """End one of several attacks; that it came to grief says little, and the others are to be ended too."""
    try:
        return finish()
    except (OSError, ControlError, CommandError, subprocess.TimeoutExpired, json.JSONDecodeError):
        return {"failed": 1}


def _add_and_delete(stage: Scene, is_over: threading.Event) -> Figures:
    additions, size = fillers(ALL_FLOWS), len(fillers(AT_ONCE))
    parts = [additions[start : start + size] for start in range(0, len(additions), size)]
    orders = itertools.cycle((*parts, CHANGES, delete_all(V13, 1), to_controller(V13, 1)))
    count = 0
    with Client(stage.switch.management()) as client:
        while not is_over.is_set():
            client.carry_out(next(orders))
            count += 1
    return {"orders": count}
