"""How this process spares memory: what peers make large is small for each of them, and goes back when they have gone.

*Connections that end.* A transport of asyncio holds what it calls when there is something to read: a method of its own,
so itself. With TLS there is an inner transport that nothing else can reach. The collector of cycles looks at old
objects about once an hour (``runtime.process``), and a thousand strangers a second would be megabytes a second until
then. asyncio offers no place to free them: so it is done where its transport forgets its socket, protocol and loop, by
a name that is private there. Where a later Python has another one, nothing is done, and the memory waits for the
collector.

*Handshakes.* A TLS connection of asyncio has a read buffer of 256 KiB from its first byte on, which is filled with
zeros each time: 64 handshakes under way (``switch.listener``) are 16 MiB. Records of TLS are 16 KiB long (RFC 8446,
section 5.1), so nothing is slower with a buffer for two.

*Large blocks.* The table of a dictionary with 60,000 entries is 2.5 MiB. glibc maps a block of 128 KiB or more by
itself and gives it back to the kernel when it is freed; but each time one is freed it raises that limit to its size, up
to 32 MiB (mallopt(3), "M_MMAP_THRESHOLD"). From then on such blocks lie among small ones, and the process grows by some
megabytes with each change of ten thousand remotes. A limit that is set stays.
"""

from __future__ import annotations

import ctypes
from asyncio import selector_events, sslproto
from typing import Any

TLS_READ_BYTES = 32 * 1024
MAPPED_BYTES = 128 * 1024

_FORGETS, _CALLED = "_call_connection_lost", "_read_ready_cb"
_M_MMAP_THRESHOLD = -3  # as the C library numbers it


def spare_memory() -> None:
    """From now on, in this process. Once is enough, and more does no harm."""
    sslproto.SSLProtocol.max_size = TLS_READ_BYTES
    _free_transports_at_once()
    _map_large_blocks()


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


def _map_large_blocks() -> None:
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:  # musl has none, and no limit that moves
        set_option(_M_MMAP_THRESHOLD, MAPPED_BYTES)
