"""Statistics replies that can be very long, made a part at a time as the peer reads them (OpenFlow 1.3.5, 7.3.5).

There can be 65,536 groups, and as many meters: all of them in one go would be a pause for everything else, and many
megabytes that wait for a peer who may not read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from inband.openflow.messages import Message
from inband.table.steps import Steps

# How much one part says; a group counts with its buckets. All tables are one part, as controllers are used to. To make
# and to encode a part takes one to two milliseconds.
_PER_PART = 254

E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class LongReply:
    """A reply of many parts, made one at a time as the peer reads them; RefusalError ends it.

    A part is a message, or None where there was nothing to say of what was looked at. The last has no ``more``.
    """

    parts: Iterator[Message | None]


def long_reply(
    make: Callable[[tuple[E, ...], bool], Message],
    entries: Iterable[E],
    *,
    size: Callable[[E], int] | None = None,
    first: Steps[None] | None = None,
) -> LongReply:
    """A reply with these entries, which are made as they are needed.

    ``make`` takes entries and ``more``; ``size`` tells how much an entry says, 1 without it; ``first`` is done before.
    """
    return LongReply(_parts(make, entries, size, first))


def _parts(
    make: Callable[[tuple[E, ...], bool], Message],
    entries: Iterable[E],
    size: Callable[[E], int] | None,
    first: Steps[None] | None,
) -> Iterator[Message | None]:
    for _ in first or ():
        yield None
    part: list[E] = []
    length = 0
    for entry in entries:
        if length >= _PER_PART:
            yield make(tuple(part), True)
            part, length = [], 0
        part.append(entry)
        length += size(entry) if size else 1
    yield make(tuple(part), False)
