"""What the switch knows of a front end: another configuration laid over that of file and commands.

``base`` is what file and commands say, and what they change. The configuration in force is ``front.over(base)``. A
bridge of the front is not refused as a whole for one thing that is wrong: what cannot be had is left out and said
(``Refusals``), for whoever wrote it is not there to be asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from inband.host.events import LinkChanged
from inband.runtime.bridge_runner import BridgeRunner
from inband.runtime.refusals import BridgeRefusals
from inband.runtime.show import FrontDocument
from inband.switch.config import SwitchConfig


class Refusals(dict[str, BridgeRefusals]):
    """What could not be had of each bridge of the front; false when all of it could."""

    def __bool__(self) -> bool:
        return any(self.values())


class Followed(Protocol):
    """The switch as its front end sees it."""

    bridges: dict[str, BridgeRunner]
    refusals: Refusals

    async def follow_front(self) -> None:
        """Go to what the front says now. Raises InbandError."""

    def interface(self, name: str) -> LinkChanged | None:
        """What the kernel has said of an interface."""


class Front(Protocol):
    """A front end; all calls are made from the loop, but ``over``, which may be made from a thread."""

    @property
    def bridges(self) -> frozenset[str]:
        """The bridges that are configured by it."""

    def over(self, base: SwitchConfig) -> SwitchConfig:
        """``base`` with what it configures. Pure; raises UsageError when the two do not fit together."""

    def check_change(self, verb: str, arguments: Sequence[str]) -> None:
        """Raise UsageError when a verb would change what is the front's."""

    def start(self, switch: Followed) -> None:
        """The switch runs: begin to follow."""

    async def stop(self) -> None:
        """The switch ends."""

    def something_changed(self) -> None:
        """A link, a channel or the configuration is not what it was."""

    def document(self) -> FrontDocument:
        """What `show` says of it."""
