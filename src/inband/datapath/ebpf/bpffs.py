"""A bpffs of our own, where maps and links stay alive without this process.

Not /sys/fs/bpf: ``ip netns exec`` hides it behind a new /sys, and two switches would share it. The mount belongs to
the mount namespace that made it: a switch that is started in a namespace of its own (``ip netns exec``, a container)
and dies takes it along, unless the directory was a bpffs before.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from inband.datapath.ebpf.libbpf import refused
from inband.errors import HostError

_BPF_FS_MAGIC = 0xCAFE4A11
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 2, 4, 8
_MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)
_libc.mount.restype = ctypes.c_int
_libc.umount2.argtypes = (ctypes.c_char_p, ctypes.c_int)
_libc.umount2.restype = ctypes.c_int
_libc.statfs.argtypes = (ctypes.c_char_p, ctypes.c_char_p)
_libc.statfs.restype = ctypes.c_int


def ensure_bpffs(path: Path) -> None:
    """Make the directory a bpffs unless it is in one. Raises HostError."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise HostError(f"make {path}", error.strerror or str(error), errno=error.errno or 0) from error
    if is_bpffs(path):
        return
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    if _libc.mount(b"bpf", os.fsencode(path), b"bpf", flags, b"mode=0700") != 0:
        raise refused(f"mount a bpffs on {path}", ctypes.get_errno(), "this needs CAP_SYS_ADMIN")


def is_bpffs(path: Path) -> bool:
    """Whether a directory is in a bpffs."""
    found = ctypes.create_string_buffer(256)  # struct statfs: its first word is the type, 120 bytes in all
    if _libc.statfs(os.fsencode(path), found) != 0:
        return False
    return int.from_bytes(found.raw[: ctypes.sizeof(ctypes.c_long)], "little") & 0xFFFFFFFF == _BPF_FS_MAGIC


def unmount(path: Path) -> None:
    """Take the mount away, now or with its last user; that there is none is no error."""
    _libc.umount2(os.fsencode(path), _MNT_DETACH)
