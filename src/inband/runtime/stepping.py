"""Long work of the event loop in slices, between which everything else in the process has its turn."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from weakref import WeakKeyDictionary

# How long a change of the configuration is worked at before everything else has its turn: as long as all peers together
# and the frames have theirs (``switch.turns``), so that they cannot hold it up for long either.
CHANGE_SLICE_S = 0.004

_gates: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
_makers: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


async def next_turn() -> None:
    """Wait until what a command has to do next may be done: one piece of one command each time the loop goes round.

    So however many clients give commands, everything else in the process waits for one piece at most.
    """
    gate = _gates.setdefault(asyncio.get_running_loop(), asyncio.Lock())
    async with gate:
        await asyncio.sleep(0)


def making_much() -> asyncio.Lock:
    """Who makes an answer that may be very long holds this meanwhile: one at a time is in memory half made."""
    return _makers.setdefault(asyncio.get_running_loop(), asyncio.Lock())


async def go_through(steps: Iterator[None], loop: asyncio.AbstractEventLoop) -> None:
    """Do work in steps, for CHANGE_SLICE_S at a time."""
    end = loop.time() + CHANGE_SLICE_S
    for _ in steps:
        if loop.time() >= end:
            await asyncio.sleep(0)
            end = loop.time() + CHANGE_SLICE_S
