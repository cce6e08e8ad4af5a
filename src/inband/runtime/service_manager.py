"""What systemd hears of the switch: ready, reloading, stopping, and by its watchdog that the event loop turns.

Datagrams to the socket that $NOTIFY_SOCKET names, as sd_notify(3) describes them; $WATCHDOG_USEC and $WATCHDOG_PID say
how often a sign of life is wanted, and of which process (sd_watchdog_enabled(3)).

The sign of life is a timer of the event loop and nothing else: a loop that hangs sends none, and systemd ends the
process with SIGABRT and starts it again. Then Python prints what each thread was doing.

Invariants: a service manager that does not listen, or none, is no reason to stop or to wait.
"""

from __future__ import annotations

import faulthandler
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

# systemd's own advice: twice in the time after which it gives the process up.
_SIGNS_OF_LIFE = 2


class Timer(Protocol):
    """What has not run out yet (``asyncio.TimerHandle``)."""

    def cancel(self) -> None:
        """Let it never run out."""


class Timers(Protocol):
    """What calls back when it has its turn (an event loop)."""

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Timer:
        """Call ``callback`` in ``delay`` seconds."""


class ServiceManager:
    """The service manager that started this process, or none. ``environment`` says where it listens."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._interval_s = _interval_s(environment)
        self._timer: Timer | None = None

    def ready(self, loop: Timers) -> None:
        """Say that the switch runs; from now on the watchdog hears from ``loop``, when there is one."""
        self._tell("READY=1")
        if self._interval_s is not None:
            faulthandler.enable()
            self._sign_of_life(loop, self._interval_s)

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """Say that the configuration is read again, and behind the block that this is done, whatever came of it."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")
        try:
            yield
        finally:
            self._tell("READY=1")

    def stopping(self) -> None:
        """Say that the switch ends; the watchdog hears nothing more, and waits for nothing more."""
        if self._timer is not None:
            self._timer.cancel()
        self._tell("STOPPING=1")

    def _sign_of_life(self, loop: Timers, interval_s: float) -> None:
        self._tell("WATCHDOG=1")
        self._timer = loop.call_later(interval_s, lambda: self._sign_of_life(loop, interval_s))

    def _tell(self, state: str) -> None:
        if not self._address.startswith(("/", "@")):
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto(state.encode(), address)
        except OSError:
            pass  # it does not listen, or is too busy to


def _interval_s(environment: Mapping[str, str]) -> float | None:
    """Seconds between two signs of life, None when none are asked for."""
    wanted_us, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not (wanted_us.isascii() and wanted_us.isdigit() and int(wanted_us)) or pid not in ("", str(os.getpid())):
        return None
    return int(wanted_us) / 1e6 / _SIGNS_OF_LIFE
