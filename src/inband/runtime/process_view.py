"""The switch process as the commands of its control socket see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from inband.runtime.bridge_runner import BridgeRunner
from inband.runtime.change_options import ChangeOptions
from inband.runtime.front import Front
from inband.switch.config import SwitchConfig
from inband.switch.confirming import Confirming
from inband.switch.core import SwitchCore
from inband.switch.history import History
from inband.vocabulary.instant import Instant


class Process(Protocol):
    """What a command may ask of the process, and do to it."""

    bridges: dict[str, BridgeRunner]
    core: SwitchCore
    history: History

    @property
    def front(self) -> Front | None:
        """Whose configuration is laid over that of file and commands."""

    @property
    def config(self) -> SwitchConfig:
        """The configuration that is in force."""

    @property
    def now(self) -> Instant:
        """The clock of everything in the process."""

    def end(self, reason: str) -> None:
        """Have the process end."""

    def counters(self) -> Mapping[str, Mapping[str, int]]:
        """Named counters of what all bridges share, by part."""

    confirming: Confirming

    async def change(self, verb: str, arguments: Sequence[str], options: ChangeOptions) -> None:
        """Carry out a verb."""

    async def confirm(self) -> None:
        """Let the change that waits stay."""

    async def roll_back(self) -> None:
        """Undo the change that waits."""
