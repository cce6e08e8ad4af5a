"""Reads the files of ``network-key``: what must be true of a secret that a whole network shares."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from inband.errors import UsageError
from inband.fabric.keys import MIN_SECRET_BYTES, NetworkKeys
from inband.switch.config import BridgeConfig

# A secret is a line; what is longer is another file.
MAX_FILE_BYTES = 4096
_ADVICE = "write one with `openssl rand -base64 32`, the same on all switches"


def read_network_keys(config: BridgeConfig) -> NetworkKeys | None:
    """A bridge's keys, None if it has none. Raises UsageError: which file, what is wrong with it, what to do."""
    if not config.network_keys:
        return None
    try:
        return NetworkKeys.of(*map(_read_secret, config.network_keys))
    except UsageError as error:
        raise UsageError(f"bridge {config.name}: network-key {error}") from None


def _read_secret(path: Path) -> bytes:
    """The first 4 KB of a file, without line ends behind them: an editor writes one, others do not."""
    try:
        # Not to wait for whoever writes into a named pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}; {_ADVICE}") from None
    try:
        _check(path, os.fstat(descriptor))
        data = os.read(descriptor, MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)
    secret = data.rstrip(b"\r\n")
    if len(data) > MAX_FILE_BYTES:
        raise UsageError(f"{path}: is longer than {MAX_FILE_BYTES} bytes, so hardly a key; {_ADVICE}")
    if len(secret) < MIN_SECRET_BYTES:
        raise UsageError(f"{path}: has {len(secret)} bytes, at least {MIN_SECRET_BYTES} are needed; {_ADVICE}")
    return secret


def _check(path: Path, found: os.stat_result) -> None:
    """Raise UsageError unless it is a file that no one but its owner, us or root, can read or change."""
    if not stat.S_ISREG(found.st_mode):
        kind = "a directory" if stat.S_ISDIR(found.st_mode) else "no regular file"
        raise UsageError(f"{path}: is {kind}: name a file; {_ADVICE}")
    if found.st_uid not in (0, os.geteuid()):
        raise UsageError(
            f"{path}: belongs to user {found.st_uid}, who could change it: `chown {os.geteuid()} {path}` as root"
        )
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        mode = stat.S_IMODE(found.st_mode)
        raise UsageError(f"{path}: group or others have access to it (mode {mode:04o}): `chmod 600 {path}`")
