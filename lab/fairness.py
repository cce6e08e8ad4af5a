"""What an attack does to others: the silence of a quiet session, memory, and how soon a new controller gets through.

The quiet session is a controller's over the switched network: it sends an ECHO each 20 ms and nothing else. It and the
switch run at a high priority (Open vSwitch's start script gives it the same), attackers at a low one, so that on a
machine with two processors the figures are the switch's. What the machine does besides is in ``controller_gap_s``: how
long the controller itself once failed to ask.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import time
from dataclasses import dataclass

from lab.attack.kinds import Attack, crowded
from lab.attack.running import Figures
from lab.client import Client
from lab.controllers import LabController
from lab.net import CommandError
from lab.scene import Scene, scene
from lab.switch import SwitchMaker, memory_mb, peak_mb, reset_peak
from lab.unixctl import ControlError

ECHO_S = 0.02
NICE = -10
OTHER_PORT = 6654
SETTLE_S = 1.0
CONNECT_AFTER_S, CONNECT_S = 2.0, 20.0
"""When the second controller comes, at the latest, and how long it is waited for."""
CLIENT_S, AGAIN_S = 5.0, 0.1
"""As long an operator tries to get an answer from the management socket."""
RECOVERY_S = 30.0
"""How long after an attack a session may take to answer again and be noticed."""


@dataclass(frozen=True, slots=True)
class Suffered:
    """What an attack did.

    ``connect_s`` is until another controller was connected, ``client_s`` until a client of the management socket had
    its answer; None: never, in the time that they were given. ``figures`` are the attack's own.
    """

    silence_s: float
    is_kept: bool
    memory_mb: float
    connect_s: float | None
    client_s: float | None
    controller_gap_s: float
    figures: Figures


def suffer(make: SwitchMaker, attack: Attack, seconds: float) -> Suffered | None:
    """Have a switch bear an attack; None when its controller did not come up before."""
    with scene(make, lambda lab: crowded(lab, attack), echo_s=ECHO_S) as stage:
        stage.connect()
        if not stage.all_up(10.0):
            return None
        other = _second_controller(stage, attack)
        attack.prepare(stage)
        time.sleep(SETTLE_S)
        return _measure(stage, other, attack, seconds)


def _measure(stage: Scene, other: LabController, attack: Attack, seconds: float) -> Suffered:
    pids, lost = stage.switch.pids(), stage.lost()
    reset_peak(pids)
    before, start = memory_mb(pids), time.monotonic()
    finish = attack.begin(stage, seconds)
    time.sleep(min(CONNECT_AFTER_S, seconds / 2))
    connect_s = _connect(stage, other)
    client_s = _ask(stage)
    time.sleep(max(0.0, start + seconds - time.monotonic()))
    figures = finish()
    stage.wait_answers(time.monotonic(), RECOVERY_S)
    end, peak = time.monotonic(), peak_mb(pids)
    base = max(before, memory_mb(pids)) if attack.leaves_flows else before
    return Suffered(
        silence_s=stage.silence(start, end),
        is_kept=stage.lost() == lost,
        memory_mb=peak - base,
        connect_s=connect_s,
        client_s=client_s,
        controller_gap_s=_gap(stage, start, end),
        figures=figures,
    )


def _second_controller(stage: Scene, attack: Attack) -> LabController:
    """Start another controller, of which the switch does not know yet, and have both served first by the machine."""
    other = LabController(stage.topology.controller, port=OTHER_PORT)
    _hurry(stage.controller.process.pid, other.process.pid, *stage.switch.pids())
    if attack.floods_controllers:
        for each in (stage.controller, other):
            each.order("deaf")
    return other


def _hurry(*pids: int) -> None:
    """Give processes, with all the threads that they have, a high priority."""
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.setpriority(os.PRIO_PROCESS, int(thread), NICE)


def _connect(stage: Scene, other: LabController) -> float | None:
    """Tell the switch of the second controller; return the seconds from then to its FEATURES_REPLY."""
    targets = stage.topology.sites[0].bridges[0].targets
    start = time.monotonic()
    try:
        stage.switch.set_controllers(*targets, f"tcp:{stage.topology.remote}:{OTHER_PORT}")
    except (OSError, ControlError, CommandError, subprocess.TimeoutExpired):
        return None
    up = other.journal.wait_up(stage.dpids, CONNECT_S)
    return max(up.values()) - start if len(up) == len(stage.dpids) else None


def _ask(stage: Scene) -> float | None:
    """Ask at the management socket, again if hung up on; return the seconds until the answer."""
    start = time.monotonic()
    while (left := start + CLIENT_S - time.monotonic()) > 0:
        try:
            with Client(stage.switch.management(), timeout_s=left) as client:
                client.carry_out(b"")
                return time.monotonic() - start
        except OSError:
            time.sleep(AGAIN_S)
    return None


def _gap(stage: Scene, start: float, end: float) -> float:
    """The longest time between two ECHO requests that were answered: as far as it is the controller's own doing."""
    asked = [
        each.t - each.details["rtt"] for each in stage.controller.journal.entries("echo") if start <= each.t <= end
    ]
    return max((later - earlier for earlier, later in itertools.pairwise(asked)), default=0.0)
