"""Names in Open vSwitch's run directory by which its tools find this switch: ``ovs-ofctl show br0``, ``ovs-appctl``.

Symbolic links to what is in our own run directory: the socket of each bridge, the pid file and the control socket, the
latter two under the name ``inband`` and, where no ovs-vswitchd has files of its own, under that name too, for it is
whom ``ovs-appctl`` asks unless it is told otherwise.

Invariant: nothing of another program's is replaced or removed. A name that is taken is left, and said; ours are links
into our run directory. A link to nothing, as a switch leaves that was killed, gives way to one that is wanted.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

_DAEMONS = ("inband", "ovs-vswitchd")


class OvsLinks:
    """The links of one process. Without a directory there are none."""

    def __init__(self, directory: Path | None, run_dir: Path) -> None:
        """``run_dir`` is ours, which links lead into; where both are one, the names are right already."""
        self._run_dir = run_dir.absolute()
        is_same = directory is not None and directory.absolute() == self._run_dir
        self._directory = None if is_same else directory

    def add_daemon(self, pid_file: str, control_socket: str) -> None:
        """Have the process found; what is named is in our run directory."""
        if self._directory is None:
            return
        with suppress(OSError):
            self._directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        for name in _DAEMONS:
            if self.add(f"{name}.pid", pid_file):
                self.add(f"{name}.{os.getpid()}.ctl", control_socket)

    def add(self, name: str, target: str) -> bool:
        """Have a file of our run directory found under a name; whether that could be done."""
        if self._directory is None:
            return False
        path = self._directory / name
        try:
            if self._is_ours(path) or (path.is_symlink() and not path.exists()):
                path.unlink()
            path.symlink_to(self._run_dir / target)
        except FileExistsError:
            log.warning("%s is another program's: Open vSwitch's tools find that one there, not this switch", path)
            return False
        except OSError as error:
            log.warning("%s cannot be made, so Open vSwitch's tools do not find it: %s", path, error.strerror)
            return False
        return True

    def remove(self, name: str) -> None:
        """Take a name away, if it is ours."""
        if self._directory is not None and self._is_ours(self._directory / name):
            with suppress(OSError):
                (self._directory / name).unlink()

    def close(self) -> None:
        """Take all of them away."""
        if self._directory is not None:
            for path in self._directory.glob("*"):
                self.remove(path.name)

    def _is_ours(self, path: Path) -> bool:
        try:
            return path.readlink().parent == self._run_dir
        except OSError:  # no link, or not there
            return False
