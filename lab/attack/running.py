"""How attacks are run: by a process in a namespace, by a thread in rounds, or as one piece of work in a thread."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from lab.attack import peers
from lab.client import Client, fillers
from lab.journal import until
from lab.net import Namespace
from lab.process import Process
from lab.scene import Scene

PLAIN = 6700
"""Where a switch that is attacked listens for whoever calls."""
START_S = 20.0
Figures = dict[str, float]
Finish = Callable[[], Figures]
"""Ends an attack, waiting for what cannot be broken off, and returns its figures."""
Begin = Callable[[Scene, float], Finish]


def install(flows: int) -> Callable[[Scene], None]:
    """What adds so many flows."""

    def prepare(stage: Scene) -> None:
        if flows:
            with Client(stage.switch.management()) as client:
                client.carry_out(fillers(flows))

    return prepare


def flooding(said: str, how: str, sessions: int) -> Begin:
    """An attack by sessions of :mod:`lab.attack.flood`."""

    def begin(stage: Scene, seconds: float) -> Finish:
        run = process(lambda stage: stranger(stage, "flood", said, how, str(sessions), *places(stage)))
        since, end = time.monotonic(), run(stage, seconds)

        def finish() -> Figures:
            figures = end()
            took = time.monotonic() - since
            return {"answered_bytes_per_s": figures["read"] / took, "hung_up": figures["hung_up"]}

        return finish

    return begin


def process(start: Callable[[Scene], Process]) -> Begin:
    """An attack by a process, which is told to stop at its end and then says what it did."""

    def begin(stage: Scene, seconds: float) -> Finish:
        started = start(stage)
        assert until(lambda: peers.READY in started.tail(), START_S), started.tail()

        def finish() -> Figures:
            started.stop()
            return dict(json.loads(started.tail(1)))

        return finish

    return begin


def rounds(go_round: Callable[[Scene, threading.Event], Figures]) -> Begin:
    """An attack by a thread that goes on until it is over; it finishes the round that it is in."""

    def begin(stage: Scene, seconds: float) -> Finish:
        is_over = threading.Event()
        return in_thread(lambda: go_round(stage, is_over), is_over)

    return begin


def in_thread(work: Callable[[], Figures], is_over: threading.Event | None = None) -> Finish:
    """Begin a piece of work; what returns it sets ``is_over`` and waits."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(work)

    def finish() -> Figures:
        if is_over is not None:
            is_over.set()
        try:
            return future.result()
        finally:
            pool.shutdown()

    return finish


def stranger(stage: Scene, kind: str, *words: str) -> Process:
    """Start an attacker beside the switch."""
    return attacker(stage.topology.sites[0].namespace, kind, *words)


def attacker(namespace: Namespace, kind: str, *words: str) -> Process:
    """Start a module of this folder in a namespace."""
    return namespace.start(sys.executable, "-m", f"lab.attack.{kind}", *words, label=kind)


def places(stage: Scene) -> tuple[str, str]:
    """Return where anybody may speak OpenFlow with the switch."""
    return f"tcp:127.0.0.1:{PLAIN}", f"unix:{stage.switch.management()}"
