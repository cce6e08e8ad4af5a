"""What a running switch reads from and writes to its state directory: memory of bridges, names, time, what to undo."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path

from inband.packet import dns
from inband.runtime import name_memory
from inband.runtime.bridge_runner import BridgeRunner
from inband.runtime.state_dir import StateDir
from inband.runtime.state_memory import MEMORY, document_of, memory_of
from inband.runtime.undo import Undo
from inband.switch.config import SwitchConfig
from inband.switch.core import names_of
from inband.switch.names import Known

# Bridges that were taken out and may come back.
MAX_BRIDGES_AWAY = 100
# How often the time is noted for a start without a clock: certificates are good for months.
NOTE_TIME_S = 3600.0


class StateKeeper:
    """One switch's. ``memory`` is what is known of each bridge, ``undo`` what to go back to.

    Names are kept in ``directory``, the run directory, where there is no state directory.
    """

    def __init__(self, state_dir: StateDir, directory: Path, loop: asyncio.AbstractEventLoop) -> None:
        self.memory = memory_of(state_dir.read(MEMORY))
        self.undo = Undo(state_dir)
        self._state_dir = state_dir
        self._loop = loop
        self._names_file = (state_dir.path or directory) / name_memory.FILE
        self._known_names: Known | None = None
        self._noting: asyncio.TimerHandle | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()

    @property
    def newest_s(self) -> float | None:
        """The newest time that is known for certain, in seconds since 1970."""
        return self._state_dir.newest_s

    @property
    def offset_s(self) -> float:
        """From seconds since 1970 to the loop's clock."""
        return self._loop.time() - time.time()

    def start(self) -> None:
        """Note the time now and then, for a start without a clock."""
        self._loop.run_in_executor(None, self._state_dir.note_time)
        self._noting = self._loop.call_later(NOTE_TIME_S, self.start)

    def stop(self) -> None:
        """Note it no more."""
        for planned in (self._noting, self._keeping):
            if planned is not None:
                planned.cancel()

    async def keep(self, bridges: Iterable[BridgeRunner]) -> None:
        """Have on the disk what the next run must know."""
        async with self._writing:
            await self._keep(bridges)

    async def _keep(self, bridges: Iterable[BridgeRunner]) -> None:
        present = {runner.config.name: runner.memory for runner in bridges}
        away = [name for name in self.memory if name not in present][-MAX_BRIDGES_AWAY:]
        memory = {**{name: self.memory[name] for name in away}, **present}
        if memory != self.memory:
            self.memory = memory
            await asyncio.to_thread(self._state_dir.write, MEMORY, document_of(memory))

    def keep_soon(self, bridges: Iterable[BridgeRunner]) -> None:
        """The same, when there is time."""
        self._keeping = self._loop.create_task(self.keep(bridges))

    async def recall_names(self, config: SwitchConfig) -> Known:
        """What an earlier run knew of names; read once, when there are names at all."""
        if self._known_names is None and names_of(config):
            self._known_names = name_memory.read(self._names_file, offset_s=self.offset_s)
            await self._loop.run_in_executor(None, dns.load_reader)
        return self._known_names or {}

    def remember_names(self, known: Known) -> None:
        """Keep what is known of names now."""
        name_memory.write(self._names_file, known, offset_s=self.offset_s)
