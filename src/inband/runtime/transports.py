"""asyncio's transports for strangers: freed at once when a connection ends, and small while it has not begun.

A transport of asyncio holds what it calls when there is something to read: a method of its own, so itself. With TLS
there is an inner transport that nothing else can reach. The collector of cycles looks at old objects about once an hour
(``runtime.process``), and a thousand strangers a second would be megabytes a second until then.

asyncio offers no place to do this: so it is done where its transport forgets its socket, protocol and loop, by a name
that is private there. Where a later Python has another one, nothing is done, and the memory waits for the collector.

A TLS connection of asyncio has a read buffer of 256 KiB from its first byte on, which is filled with zeros each time:
64 handshakes under way (``switch.listener``) are 16 MiB. Records of TLS are 16 KiB long (RFC 8446, section 5.1), so
nothing is slower with a buffer for two.
"""

from __future__ import annotations

from asyncio import selector_events, sslproto
from typing import Any

TLS_READ_BYTES = 32 * 1024

_FORGETS, _CALLED = "_call_connection_lost", "_read_ready_cb"


def spare_memory() -> None:
    """From now on, in this process: both. Once is enough, and more does no harm."""
    sslproto.SSLProtocol.max_size = TLS_READ_BYTES
    _free_transports_at_once()


def _free_transports_at_once() -> None:
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
