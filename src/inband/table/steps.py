"""Work that may be long, in steps: a generator that yields between them and returns what it came to.

Its owner goes on when there is time, and may pause for as long as it likes: nothing that is seen in between is half
done. After a step that yields CHANGED the tables decide differently: caches must forget what they know before another
packet is looked at. After one that yields EFFECTS they must have followed what the steps before have put on record.
"""

from __future__ import annotations

from collections.abc import Generator
from enum import Enum
from typing import TypeVar

T = TypeVar("T")


class Step(Enum):
    """What a step came to."""

    WORKED = "worked"
    CHANGED = "changed"
    EFFECTS = "effects"


Steps = Generator[Step, None, T]


def in_one_go(steps: Steps[T]) -> T:
    """Do all the steps; what they came to."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: T = end.value
            return found
