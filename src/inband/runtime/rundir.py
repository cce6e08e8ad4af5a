"""The run directory: where a switch process puts its sockets, and how it makes sure it is the only one there.

``inband.pid`` in it is both the pid file and the lock: whoever holds its flock is the switch. The kernel lets go of a
flock when its process dies, however it dies; so after kill -9 the next start takes over, and never has to guess from a
pid whether its process is still the same program. Dying takes a moment: each packet socket is closed in some 10 ms, and
a child that was about to become a DHCP client closes its copies later still. So who finds the lock held by a process
that has ended waits, and the lock is the last thing that is closed: then everything of the dead one is free.

With ``OVS_RUNDIR`` set to this directory Open vSwitch's tools find everything by its short name, as they find their
own: ``ovs-ofctl show br0`` (BRIDGE.mgmt) and ``ovs-appctl -t inband`` (inband.PID.ctl, with the pid of inband.pid,
which they believe while a process holds a POSIX lock on it).

Invariants: what is left over is removed only while the lock is held, and only sockets and what DHCP clients
had; the directory is open to its owner alone (mode 0700), because that is all that guards the sockets in it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import shutil
import stat
import time
from pathlib import Path

from inband.errors import HostError, UsageError
from inband.runtime.ovs_links import OvsLinks
from inband.runtime.unixctl_client import CONTROL_SOCKET

LOCK_FILE = "inband.pid"
# How long a dead switch is waited for: a thousand ports take ten seconds.
PATIENCE_S, LOOK_AGAIN_S = 30.0, 0.01
# Above what a switch usually has open; the table of descriptors is as long as the highest number.
HIGHEST_DESCRIPTOR = 1023
_PF_EXITING = 0x4
MANAGEMENT_SUFFIX, SNOOP_SUFFIX = ".mgmt", ".snoop"
DHCP_DIRECTORY = "inband-dhcp"
"""Where DHCP clients have their files, each in a folder of its own."""


class RunDir:
    """A run directory that this process holds. Make one with :meth:`take`, give it back with :meth:`release`."""

    def __init__(self, path: Path, lock: int, links: OvsLinks | None = None) -> None:
        """Use :meth:`take`. ``lock`` is the descriptor that holds the flock."""
        self.path = path
        self.links = links or OvsLinks(None, path)
        self._lock = lock

    @classmethod
    def take(cls, path: Path, ovs_run_dir: Path | None = None) -> RunDir:
        """Make the directory if need be, lock it, and clear what a killed switch left in it.

        In ``ovs_run_dir`` Open vSwitch's tools find what is in it by name.

        Raises UsageError when a live switch has it (naming its pid) or it is not ours, HostError when the kernel
        refuses.
        """
        try:
            _make_private(path)
            taken = cls(path, _lock(path / LOCK_FILE), OvsLinks(ovs_run_dir, path))
        except OSError as error:
            reason = error.strerror or str(error)
            if isinstance(error, PermissionError):
                reason += ": run it as root, or say with --run-dir where you may write"
            raise HostError(f"use {path} as run directory", reason, errno=error.errno or 0) from None
        taken.remove_sockets()
        taken.remove_dhcp_files()
        taken.link_control_socket()
        taken.links.close()
        taken.links.add_daemon(LOCK_FILE, CONTROL_SOCKET)
        return taken

    @property
    def control_socket(self) -> Path:
        """Where commands are taken."""
        return self.path / CONTROL_SOCKET

    def management_socket(self, bridge: str) -> Path:
        """Where ovs-ofctl speaks OpenFlow with a bridge."""
        return self.path / f"{bridge}{MANAGEMENT_SUFFIX}"

    def snoop_socket(self, bridge: str) -> Path:
        """Where ovs-ofctl listens to what a bridge and its controllers say."""
        return self.path / f"{bridge}{SNOOP_SUFFIX}"

    def announce(self, bridge: str) -> None:
        """Have Open vSwitch's tools find a bridge by name."""
        for suffix in (MANAGEMENT_SUFFIX, SNOOP_SUFFIX):
            self.links.add(f"{bridge}{suffix}", f"{bridge}{suffix}")

    def withdraw(self, bridge: str) -> None:
        """Have them find it no longer."""
        for suffix in (MANAGEMENT_SUFFIX, SNOOP_SUFFIX):
            self.links.remove(f"{bridge}{suffix}")

    def link_control_socket(self) -> None:
        """Have the control socket under the name that ovs-appctl looks for; without it only its path works."""
        with contextlib.suppress(OSError):
            (self.path / f"inband.{os.getpid()}.ctl").symlink_to(CONTROL_SOCKET)

    def remove_sockets(self) -> None:
        """Remove every socket that a switch makes here, and its other name; other files stay."""
        for link in self.path.glob("inband.*.ctl"):
            if link.is_symlink():
                link.unlink(missing_ok=True)
        for path in [
            self.control_socket,
            *self.path.glob(f"*{MANAGEMENT_SUFFIX}"),
            *self.path.glob(f"*{SNOOP_SUFFIX}"),
        ]:
            try:
                if stat.S_ISSOCK(path.lstat().st_mode):
                    path.unlink()
            except FileNotFoundError:
                pass
            except OSError as error:
                raise HostError(f"remove {path}", error.strerror or str(error), errno=error.errno or 0) from None

    def remove_dhcp_files(self) -> None:
        """Remove what DHCP clients have here, of which a killed switch cannot rid itself. Never follows a link."""
        path = self.path / DHCP_DIRECTORY
        if path.is_symlink():
            path.unlink(missing_ok=True)
        else:
            shutil.rmtree(path, ignore_errors=True)

    def release(self) -> None:
        """Remove sockets, DHCP clients' files and pid file, then let others have the directory.

        Calling again does nothing.
        """
        if self._lock < 0:
            return
        self.links.close()
        self.remove_sockets()
        self.remove_dhcp_files()
        (self.path / LOCK_FILE).unlink(missing_ok=True)
        os.close(self._lock)
        self._lock = -1


def _make_private(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.stat()
    if found.st_uid != os.geteuid():
        raise UsageError(
            f"run directory {path} belongs to another user (uid {found.st_uid}): choose one with --run-dir"
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        if any(entry.name not in (LOCK_FILE, CONTROL_SOCKET) for entry in path.iterdir()):
            # A user's home or /tmp: closing it to others would break what they do there.
            raise UsageError(f"run directory {path} is open to others and not empty: chmod 0700 it, or choose another")
        path.chmod(0o700)


def _lock(path: Path) -> int:
    """Open, lock and fill the pid file; raises UsageError when a live process holds it."""
    patience_ends = time.monotonic() + PATIENCE_S
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            if _has_ended(holder) and time.monotonic() < patience_ends:
                time.sleep(LOOK_AGAIN_S)
                continue
            raise UsageError(
                f"run directory {path.parent} is in use by a live switch (pid {holder}): "
                "stop that one, or choose another with --run-dir"
            ) from None
        if _is_same_file(descriptor, path):
            break
        os.close(descriptor)  # its last holder removed it between our open and our lock
    os.ftruncate(descriptor, 0)
    os.write(descriptor, b"%d\n" % os.getpid())
    descriptor = _as_last(descriptor)
    # Only Open vSwitch's tools look for this one, and a flock is what counts. It goes with the first descriptor of the
    # file that this process closes.
    with contextlib.suppress(OSError):
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def _has_ended(pid: str) -> bool:
    """Whether a process is gone or on its way out (proc(5): the state and flags of stat)."""
    try:
        state, *fields = Path(f"/proc/{int(pid)}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (ValueError, OSError):
        return pid.isdecimal()
    return state in "ZX" or bool(int(fields[5]) & _PF_EXITING)


def _as_last(descriptor: int) -> int:
    """The same lock under a high number: the kernel closes what a process had in the order of the numbers."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = min(HIGHEST_DESCRIPTOR, soft - 1) if soft > 0 else HIGHEST_DESCRIPTOR
    try:
        moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, max(highest, descriptor))
    except OSError:  # that number is taken: the lock holds all the same
        return descriptor
    os.close(descriptor)
    return moved


def _is_same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


class PidFile:
    """The file of ``--pidfile``, for service managers that know no other way. It is no lock; the run directory is."""

    def __init__(self, path: Path) -> None:
        """Write this process's pid to ``path``; raises HostError when that cannot be done."""
        self._path = path
        try:
            path.write_text(f"{os.getpid()}\n")
        except OSError as error:
            raise HostError(f"write pid file {path}", error.strerror or str(error), errno=error.errno or 0) from None

    def remove(self) -> None:
        """Remove it, if it is there."""
        self._path.unlink(missing_ok=True)
