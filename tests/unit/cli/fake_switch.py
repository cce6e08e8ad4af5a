"""A switch that is only its control socket."""

from __future__ import annotations

import asyncio
import json
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from inband.cli.main import cli
from inband.errors import UsageError
from inband.runtime.show import ShowDocument
from inband.runtime.unixctl import Handler, Registry, UnixctlServer

EMPTY: ShowDocument = {"bridges": [], "managers": []}


class FakeSwitch:
    """Answers every command of the control socket and remembers what it was asked."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.shown: Mapping[str, object] = EMPTY
        self.asked: list[list[str]] = []
        self.answers = {"dump-flows": "a flow\n", "trace": "a step"}
        registry = Registry()
        for verb in cli.commands:
            registry.add(f"inband/{verb}", "", 0, None, self._answer(verb))
        self._server = UnixctlServer(run_dir / "inband.ctl", registry)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._server.start(), self._loop).result(10)

    def _answer(self, verb: str) -> Handler:
        def handler(arguments: Sequence[str]) -> str:
            self.asked.append([verb, *arguments])
            if "br9" in arguments:
                raise UsageError("there is no bridge 'br9' here (bridges: br0): see `inband show`")
            return json.dumps(self.shown) if verb == "show" else self.answers.get(verb, "")

        return handler

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._server.close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def fake_switch() -> Iterator[FakeSwitch]:
    """One that ends with the block."""
    with tempfile.TemporaryDirectory(prefix="ihh") as name:
        fake = FakeSwitch(Path(name))
        try:
            yield fake
        finally:
            fake.stop()
