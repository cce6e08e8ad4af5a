"""What asyncio leaves behind when a connection ends is freed at once, and not by a search for cycles.

A transport of asyncio holds what it calls when there is something to read: a method of its own, so itself. With TLS
there is an inner transport that nothing else can reach. The collector of cycles looks at old objects about once an hour
(``runtime.process``), and a thousand strangers a second would be megabytes a second until then.

asyncio offers no place to do this: so it is done where its transport forgets its socket, protocol and loop, by a name
that is private there. Where a later Python has another one, nothing is done, and the memory waits for the collector.
"""

from __future__ import annotations

from asyncio import selector_events
from typing import Any

_FORGETS, _CALLED = "_call_connection_lost", "_read_ready_cb"


def free_transports_at_once() -> None:
    """From now on, in this process. Once is enough, and more does no harm."""
    kind: Any = getattr(selector_events, "_SelectorSocketTransport", None)
    forget = getattr(kind, _FORGETS, None)
    if forget is None or getattr(forget, "frees", False):
        return

    def forget_all(transport: Any, error: Exception | None) -> None:
        forget(transport, error)
        if hasattr(transport, _CALLED):
            setattr(transport, _CALLED, None)

    forget_all.frees = True  # type: ignore[attr-defined]
    setattr(kind, _FORGETS, forget_all)
