"""The state directory: what must outlive a reboot. It is a help, never a duty: no trouble with it stops anything.

Each file is a JSON document with its version, replaced as a whole: who reads sees the old one or the new one, also
after a power failure (the new one is on the disk before it takes the old one's name). A file that is broken is put
aside and begun anew; one of another version belongs to another release, and is left alone. Trouble is said once, and
again only after it was over.

Invariant: the directory is written by the one live switch that holds its lock. Writing may take as long as a slow disk
does, so a running switch writes from a thread.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from inband.switch.config import DEFAULT_RUN_DIR

log = logging.getLogger(__name__)

DEFAULT_STATE_DIR = Path("/var/lib/inband")
STATE_VARIABLE = "STATE_DIRECTORY"
"""What systemd calls it (systemd.exec(5), StateDirectory=); several are separated by colons."""
VERSION = 1
LOCK_FILE = "lock"
# A thousand ports and their bridge take 50 kB; a larger file is not ours.
MAX_BYTES = 16 << 20

Document = Mapping[str, object]


def find_state_dir(given: Path | None, run_dir: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """Where a switch keeps its state: what was given, else systemd's directory, else /var/lib/inband.

    A switch with a run directory of its own is another switch, and has a folder of its own in the latter.
    """
    if given is not None:
        return given
    systems = environment.get(STATE_VARIABLE, "").split(":")[0]
    if systems:
        return Path(systems)
    is_usual = run_dir == DEFAULT_RUN_DIR
    return DEFAULT_STATE_DIR if is_usual else DEFAULT_STATE_DIR / quote(str(run_dir.absolute()).strip("/"), safe="")


class StateDir:
    """A state directory; ``path`` is None when it cannot be used. Make one with :meth:`open`. Nothing raises."""

    def __init__(self, path: Path | None, lock: int) -> None:
        """Use :meth:`open`. ``lock`` is the descriptor that holds the flock, or -1."""
        self.path = path
        self._lock = lock
        self._foreign: set[str] = set()
        self._is_failing = False

    @classmethod
    def open(cls, path: Path) -> StateDir:
        """Make the directory if need be, and lock it; what is in the way is logged, and nothing is remembered."""
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            log.warning("state directory %s cannot be used: a restart will know nothing: %s", path, error.strerror)
            return cls(None, -1)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            log.warning("state directory %s belongs to another switch: choose another with --state-dir", path)
            return cls(None, -1)
        return cls(path, lock)

    def close(self) -> None:
        """Let others have it. Calling again does nothing."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def read(self, name: str) -> Document | None:
        """A document that an earlier run wrote, None when there is none that can be read."""
        if self.path is None:
            return None
        path = self.path / name
        try:
            with open(path, "rb", opener=_without_waiting) as file:
                document = json.loads(file.read(MAX_BYTES))
            version = document["version"]
            if type(version) is not int:
                raise ValueError("it has no version")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            log.warning("%s cannot be read: what it remembered is lost: %s", path, error)
            self._put_aside(path)
            return None
        if version != VERSION:
            self._foreign.add(name)
            log.warning("%s is of version %d, which this release does not know: it is left alone", path, version)
            return None
        return dict(document)

    def write(self, name: str, document: Document) -> bool:
        """Replace a document; whether it is on the disk now."""
        if self.path is None or name in self._foreign:
            return False
        try:
            _replace(self.path / name, json.dumps({"version": VERSION, **document}, indent=1) + "\n")
        except OSError as error:
            if not self._is_failing:
                text = "state directory %s cannot be written: a restart will not know the latest changes: %s"
                log.warning(text, self.path, error.strerror or error)
            self._is_failing = True
            return False
        self._is_failing = False
        return True

    def remove(self, name: str) -> None:
        """Forget a document."""
        if self.path is not None and name not in self._foreign:
            try:
                (self.path / name).unlink(missing_ok=True)
                _sync(self.path)
            except OSError as error:
                log.warning("%s cannot be removed: %s", self.path / name, error.strerror)

    @property
    def newest_s(self) -> float | None:
        """When the latest file was written, in seconds since 1970: it is certainly later now."""
        if self.path is None:
            return None
        times = []
        for path in self.path.iterdir():
            with contextlib.suppress(OSError):
                times.append(path.stat().st_mtime)
        return max(times, default=None)

    def note_time(self) -> None:
        """Have ``newest_s`` say the time of now, unless that is behind."""
        if self.path is not None and time.time() > (self.newest_s or 0.0):
            with contextlib.suppress(OSError):
                os.utime(self.path / LOCK_FILE)

    def _put_aside(self, path: Path) -> None:
        try:
            os.replace(path, path.with_name(f"{path.name}.broken"))
        except OSError:
            return  # it is overwritten then


def _without_waiting(path: str, flags: int) -> int:
    """Nor for who writes, if somebody has put a FIFO there."""
    return os.open(path, flags | os.O_NONBLOCK)


def _replace(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)
    _sync(path.parent)


def _sync(directory: Path) -> None:
    """Have the directory itself on the disk, with the new name in it."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
