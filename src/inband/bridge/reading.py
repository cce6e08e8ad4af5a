"""What a bridge reads of its interfaces when it is asked: its owner on a real kernel knows how."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from inband.datapath.base import QueueState
from inband.vocabulary.link_settings import UNKNOWN_LINK, LinkSettings

ReadQueues = Callable[[str], Sequence[QueueState]]
"""Tells the queues of an interface, by number."""

ReadLink = Callable[[str], LinkSettings]
"""Tells what an interface's link can do and does; asked when the port comes and when its link changes."""


def no_queues(_: str) -> Sequence[QueueState]:
    """For interfaces that have none."""
    return ()


def unknown_link(_: str) -> LinkSettings:
    """For interfaces of which nothing is known."""
    return UNKNOWN_LINK
