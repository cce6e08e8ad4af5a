"""Writing captures that tcpdump and Wireshark read: pcap with nanoseconds (draft-ietf-opsawg-pcap, 4)."""

from __future__ import annotations

from pathlib import Path
from struct import Struct
from types import TracebackType
from typing import BinaryIO

_FILE_HEADER = Struct("<IHHiIII")
_RECORD_HEADER = Struct("<IIII")

_NANOSECOND_MAGIC = 0xA1B23C4D
_ETHERNET = 1  # LINKTYPE_ETHERNET
_SNAP_LENGTH = 0x40000  # more than any frame, and what tcpdump itself writes

_NS_PER_S = 1_000_000_000


class PcapWriter:
    """A capture file. The caller gives each frame its time; OSError is left to the caller, who chose the file."""

    def __init__(self, target: str | Path | BinaryIO) -> None:
        """Write to a path (replacing the file) or to an open binary file, which stays the caller's to close."""
        self._owned = isinstance(target, str | Path)
        self._file: BinaryIO = Path(target).open("wb") if isinstance(target, str | Path) else target  # noqa: SIM115
        self._file.write(_FILE_HEADER.pack(_NANOSECOND_MAGIC, 2, 4, 0, 0, _SNAP_LENGTH, _ETHERNET))

    def write(self, data: bytes, time_ns: int) -> None:
        """Add one frame, seen ``time_ns`` nanoseconds after the epoch."""
        seconds, nanoseconds = divmod(time_ns, _NS_PER_S)
        kept = data[:_SNAP_LENGTH]
        self._file.write(_RECORD_HEADER.pack(seconds, nanoseconds, len(kept), len(data)) + kept)

    def close(self) -> None:
        """Flush, and close the file if this writer opened it."""
        self._file.flush()
        if self._owned:
            self._file.close()

    def __enter__(self) -> PcapWriter:
        """Close at the end of a with block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()
