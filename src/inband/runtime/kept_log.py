"""What the verifier said at length against the program that moves packets, in a file for whoever has to find out why.

Invariant: the file is its owner's alone, MAX_BYTES long at most, and there until the program is loaded again.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from inband.errors import HostError

MAX_BYTES = 1 << 20
"""Of a longer log the end is kept, in which the reason is."""
SUFFIX = ".verifier.log"
_CUT = b"(the log is longer: this is its end)\n"


def log_file(run_dir: Path, bridge: str) -> Path:
    """Where the log of a bridge's program is kept."""
    return run_dir / f"{bridge}{SUFFIX}"


def keep_log(error: HostError, path: Path) -> HostError:
    """The error, naming the file in which its log is now. What is in the way of the file is said instead."""
    if not error.log:
        return error
    data = error.log.encode()
    if len(data) > MAX_BYTES:
        data = _CUT + data[len(_CUT) - MAX_BYTES :]
    try:
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "wb") as file:
            file.write(data)
        where = f"the verifier's log is in {path}"
    except OSError as failed:
        where = f"the verifier's log cannot be kept in {path}: {failed.strerror}"
    return HostError(error.operation, f"{error.reason}; {where}", errno=error.errno, temporary=error.temporary)


def remove_log(path: Path) -> None:
    """The program will be loaded again, or is not needed any more."""
    with suppress(OSError):
        path.unlink(missing_ok=True)
