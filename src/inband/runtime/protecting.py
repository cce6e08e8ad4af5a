"""Rules for remotes by the thousand, in the background: a change of the configuration does not wait for those before.

Invariant: one task at most runs ``SwitchCore.protect``. It ends when every bridge protects what is wanted, whatever
that has become meanwhile.
"""

from __future__ import annotations

import asyncio

from inband.runtime.stepping import go_through
from inband.switch.core import SwitchCore


class Protecting:
    """Has the bridges of a core come to protect the remotes that are wanted."""

    def __init__(self, core: SwitchCore, loop: asyncio.AbstractEventLoop) -> None:
        self._core, self._loop = core, loop
        self._task: asyncio.Task[None] | None = None

    @property
    def is_under_way(self) -> bool:
        """Whether some rules may be missing, or some be left over."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """What is wanted has changed."""
        if not self.is_under_way:
            self._task = self._loop.create_task(go_through(self._core.protect(), self._loop))

    async def finish(self) -> None:
        """Wait for the rules of all remotes; who stops waiting does not stop them."""
        if self._task is not None:
            await asyncio.shield(self._task)

    def stop(self) -> None:
        """The bridges end."""
        if self._task is not None:
            self._task.cancel()
