"""The life of the switch process: its run directory, signals, garbage collection, and an orderly end.

``run`` is what ``inband run`` calls. A configuration that is refused at the start ends the process with its message and
leaves nothing behind.

Invariants: nothing that a peer, a host or the kernel does ends the process. It ends by SIGTERM, SIGINT or the ``exit``
command (SIGHUP is ``reload``), and then gives back ports and interfaces; after kill -9 the next start adopts what is
left.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Callable
from types import FrameType

from inband.datapath.ebpf.spare import Spare
from inband.errors import HostError, InbandError
from inband.runtime.front import Front
from inband.runtime.logs import set_up_logging
from inband.runtime.memory import spare_memory
from inband.runtime.rundir import PidFile, RunDir
from inband.runtime.service_manager import ServiceManager
from inband.runtime.state_dir import StateDir, find_state_dir
from inband.runtime.switch import RunningSwitch
from inband.runtime.undo import Undo
from inband.switch.config import SwitchConfig

log = logging.getLogger(__name__)

# How many objects more there must be before the young are searched for cycles, how often that before the middle
# generation is, and how often that before all are (Python's: 700, 10, 10). Each cached decision is ten objects without
# a cycle: a search in 10,000 objects is a pause of a few ms, in a million one of 150 ms, which is for once in an hour.
GC_THRESHOLDS = (2_000, 5, 10_000)

# How long the event loop may be kept waiting after each system call while a thread reads a large configuration. With
# Python's 5 ms each frame and each message costs that, and a turn of the loop has dozens.
SWITCH_INTERVAL_S = 0.0005

MakeFront = Callable[[StateDir, asyncio.AbstractEventLoop], Front]
"""Makes a front end, which has its own files in the state directory."""


def run(config: SwitchConfig, spare: Spare, make_front: MakeFront | None = None) -> int:
    """Run a switch until it is told to stop; returns the exit code. Raises InbandError when it cannot start.

    ``spare`` has a program for its first bridge, or will have; in the end it has none.
    """
    _end_quietly()
    set_up_logging(form=config.watching.log_format)
    try:
        return _run(config, spare, make_front)
    except OSError as error:  # what no part could foresee, such as a kernel without memory; all of it is given back
        raise HostError("run the switch", error.strerror or str(error), errno=error.errno or 0) from None
    finally:
        spare.close()


def _run(config: SwitchConfig, spare: Spare, make_front: MakeFront | None) -> int:
    run_dir = RunDir.take(config.run_dir, config.watching.ovs_run_dir)
    try:
        pid_file = PidFile(config.options.pidfile) if config.options.pidfile else None
        state_dir = StateDir.open(find_state_dir(config.state_dir, config.run_dir))
        try:
            asyncio.run(_serve(Undo(state_dir).config_to_start(config), run_dir, state_dir, spare, make_front))
        finally:
            state_dir.close()
            if pid_file is not None:
                pid_file.remove()
    finally:
        run_dir.release()
    return 0


def _end_quietly() -> None:
    """Until the event loop listens for signals: end by one without a traceback, giving back what was made so far."""

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)


async def _serve(
    config: SwitchConfig, run_dir: RunDir, state_dir: StateDir, spare: Spare, make_front: MakeFront | None
) -> None:
    loop = asyncio.get_running_loop()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    spare_memory()
    service_manager = ServiceManager()
    front = None if make_front is None else make_front(state_dir, loop)
    switch = RunningSwitch(run_dir, state_dir, loop, service_manager, spare, front)
    _listen_for_signals(loop, switch)
    try:
        await switch.start(config)
        _spare_what_stays()
        service_manager.ready(loop)
        await switch.stopping.wait()
        log.info("inband ends: told so by %s", switch.ending)
        service_manager.stopping()
    finally:
        await switch.stop()


def _listen_for_signals(loop: asyncio.AbstractEventLoop, switch: RunningSwitch) -> None:
    """SIGTERM and SIGINT end the process. SIGHUP never does, for the channel's sake: it is ``reload``."""
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, switch.end, number.name)
    reloading: set[asyncio.Task[None]] = set()

    def hang_up() -> None:
        task = loop.create_task(_reload(switch))
        reloading.add(task)
        task.add_done_callback(reloading.discard)

    loop.add_signal_handler(signal.SIGHUP, hang_up)


async def _reload(switch: RunningSwitch) -> None:
    try:
        await switch.change("reload", [])
        log.info("SIGHUP: the configuration was read again")
    except InbandError as error:
        log.warning("SIGHUP: nothing changes: %s", error)


def _spare_what_stays() -> None:
    """What is there after the start stays: the collector need not look at it again.

    Sixty thousand hidden flows have no cycles, and looking for some in all of them each few seconds would keep sessions
    waiting for a tenth of a second.
    """
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
