"""libbpf through ctypes: only the calls this datapath makes, each with its argument types.

libbpf (Debian: libbpf1, on which iproute2 depends) opens the object, creates its maps and loads its program; the rest
is bpf(2) in its own words. No compiler and no kernel headers are needed at run time.

Invariants: every function has ``argtypes`` (without them ctypes cuts pointers to 32 bits); every refusal is
a HostError with the kernel's errno and what it means for people. Values are bytes in the layout of ``layout``.
"""

from __future__ import annotations

import ctypes
import errno
import os
from ctypes import POINTER, Structure, byref, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p, sizeof
from functools import cache
from pathlib import Path
from typing import Any

from inband.errors import HostError

LIBRARY = "libbpf.so.1"

_OBJECT_FILE = Path(__file__).with_name("fastpath.bpf.o")
# The log of all that the verifier reads of our program takes 5 MB. Before Linux 6.4 it ends where there is no room.
_LOG_SIZE = 1 << 24
_TEMPORARY = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EBUSY, errno.EINTR})

BPF_TCX_INGRESS = 46
NO_TCX = (errno.EINVAL, errno.EOPNOTSUPP)
"""What a kernel without tcx (before 6.6) says to a link of that type."""


class _BatchOptions(Structure):
    _fields_ = (("sz", c_size_t), ("elem_flags", c_uint64), ("flags", c_uint64))


class _TestRunOptions(Structure):
    _fields_ = (
        ("sz", c_size_t),
        ("data_in", c_void_p),
        ("data_out", c_void_p),
        ("data_size_in", c_uint32),
        ("data_size_out", c_uint32),
        ("ctx_in", c_void_p),
        ("ctx_out", c_void_p),
        ("ctx_size_in", c_uint32),
        ("ctx_size_out", c_uint32),
        ("retval", c_uint32),
        ("repeat", c_int),
        ("duration", c_uint32),
        ("flags", c_uint32),
        ("cpu", c_uint32),
        ("batch_size", c_uint32),
    )


class _LinkInfo(Structure):
    """struct bpf_link_info with the part of a tcx link."""

    _fields_ = (
        ("type", c_uint32),
        ("id", c_uint32),
        ("prog_id", c_uint32),
        ("padding", c_uint32),
        ("ifindex", c_uint32),
        ("attach_type", c_uint32),
        ("rest", c_uint64 * 8),
    )


_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "libbpf_set_print": (c_void_p, (c_void_p,)),
    "libbpf_num_possible_cpus": (c_int, ()),
    "bpf_object__open_file": (c_void_p, (c_char_p, c_void_p)),
    "bpf_object__load": (c_int, (c_void_p,)),
    "bpf_object__close": (None, (c_void_p,)),
    "bpf_object__find_program_by_name": (c_void_p, (c_void_p, c_char_p)),
    "bpf_object__find_map_by_name": (c_void_p, (c_void_p, c_char_p)),
    "bpf_program__fd": (c_int, (c_void_p,)),
    "bpf_program__set_log_buf": (c_int, (c_void_p, c_void_p, c_size_t)),
    "bpf_map__fd": (c_int, (c_void_p,)),
    "bpf_map__reuse_fd": (c_int, (c_void_p, c_int)),
    "bpf_map_update_elem": (c_int, (c_int, c_char_p, c_char_p, c_uint64)),
    "bpf_map_lookup_elem": (c_int, (c_int, c_char_p, c_void_p)),
    "bpf_map_delete_elem": (c_int, (c_int, c_char_p)),
    "bpf_map_update_batch": (c_int, (c_int, c_char_p, c_char_p, POINTER(c_uint32), POINTER(_BatchOptions))),
    "bpf_map_delete_batch": (c_int, (c_int, c_char_p, POINTER(c_uint32), POINTER(_BatchOptions))),
    "bpf_map_lookup_batch": (
        c_int,
        (c_int, c_void_p, c_void_p, c_void_p, c_void_p, POINTER(c_uint32), POINTER(_BatchOptions)),
    ),
    "bpf_obj_pin": (c_int, (c_int, c_char_p)),
    "bpf_obj_get": (c_int, (c_char_p,)),
    "bpf_link_create": (c_int, (c_int, c_int, c_int, c_void_p)),
    "bpf_link_update": (c_int, (c_int, c_int, c_void_p)),
    "bpf_obj_get_info_by_fd": (c_int, (c_int, c_void_p, POINTER(c_uint32))),
    "bpf_prog_test_run_opts": (c_int, (c_int, POINTER(_TestRunOptions))),
}


@cache
def _library() -> ctypes.CDLL:
    """The library with its functions' types. Raises HostError when it is not installed."""
    try:
        library = ctypes.CDLL(LIBRARY, use_errno=True)
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        raise HostError("use eBPF", f"{LIBRARY} is missing or too old ({error}); on Debian: libbpf1") from error
    library.libbpf_set_print(None)  # its own words would go to standard error
    return library


def refused(operation: str, number: int, detail: str = "", log: str = "") -> HostError:
    """What the kernel's errno means for people. ``log``: what it said at length."""
    reason = os.strerror(number)
    if number in (errno.EPERM, errno.EACCES) and not detail:
        reason += ": this needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN in the initial user namespace"
    elif number == errno.ENOSYS:
        reason += ": this kernel has no bpf(2)"
    if detail:
        reason += f" ({detail})"
    return HostError(operation, reason, errno=number, temporary=number in _TEMPORARY, log=log)


def _checked(operation: str, result: int) -> int:
    """libbpf's own convention: negative errno, which is in errno too."""
    if result < 0:
        raise refused(operation, ctypes.get_errno() or -result)
    return result


def cpu_count() -> int:
    """CPUs a per-CPU value has parts for."""
    return _checked("count CPUs", _library().libbpf_num_possible_cpus())


class BpfObject:
    """The compiled object, opened; then ``load`` it. Descriptors of maps and program live until ``close``."""

    def __init__(self, path: Path = _OBJECT_FILE) -> None:
        self._library = _library()
        self._path = path
        self._object = self._library.bpf_object__open_file(os.fsencode(path), None)
        if not self._object:
            raise refused(f"open {path.name}", ctypes.get_errno(), "is the package complete?")

    def reuse_map(self, name: str, descriptor: int) -> None:
        """Use an existing map, before ``load``. Raises HostError when its layout differs."""
        _checked(f"take over map {name}", self._library.bpf_map__reuse_fd(self._map(name), descriptor))

    def load(self, program: str) -> int:
        """Create the maps and load the program; returns its descriptor.

        Raises HostError with what the verifier said last, and its log.
        """
        found = self._library.bpf_object__find_program_by_name(self._object, program.encode())
        result = self._library.bpf_object__load(self._object)
        if result < 0:
            log = "" if -result in (errno.EPERM, errno.ENOMEM) else _verifier_log(self._path, program)
            raise refused("load the eBPF program", -result, _last_words(log), log)
        return int(self._library.bpf_program__fd(found))

    def program(self, name: str) -> int:
        """The descriptor of another program of the object, after ``load``."""
        return int(
            self._library.bpf_program__fd(self._library.bpf_object__find_program_by_name(self._object, name.encode()))
        )

    def map(self, name: str) -> int:
        """A map's descriptor, after ``load``."""
        return int(self._library.bpf_map__fd(self._map(name)))

    def close(self) -> None:
        """Give back descriptors and memory. What is pinned or attached stays."""
        if self._object:
            self._library.bpf_object__close(self._object)
            self._object = None

    def _map(self, name: str) -> int:
        found = self._library.bpf_object__find_map_by_name(self._object, name.encode())
        if not found:
            raise HostError(f"find map {name}", "the eBPF object is not of this version: reinstall")
        return int(found)


def _verifier_log(path: Path, program: str) -> str:
    """What the verifier says of a program that it refuses.

    Loaded once more for it, since with a log to write the same load takes longer and may fail for want of room.
    """
    library, log = _library(), ctypes.create_string_buffer(_LOG_SIZE)
    opened = library.bpf_object__open_file(os.fsencode(path), None)
    if not opened:
        return ""
    found = library.bpf_object__find_program_by_name(opened, program.encode())
    library.bpf_program__set_log_buf(found, log, _LOG_SIZE)
    library.bpf_object__load(opened)
    library.bpf_object__close(opened)
    return log.value.decode(errors="replace")


def _last_words(log: str) -> str:
    """The last lines of a verifier's log that are not statistics: why."""
    lines = log.strip().splitlines()
    told = [line for line in lines if not line.startswith(("processed ", "verification time", "stack depth"))]
    return "; ".join(told[-2:])


def update(descriptor: int, key: bytes, value: bytes) -> None:
    """Put an element into a map, replacing an older one. Raises HostError (E2BIG: the map is full)."""
    if _library().bpf_map_update_elem(descriptor, key, value, 0) < 0:
        raise refused("write a map", ctypes.get_errno())


def update_many(descriptor: int, keys: list[bytes], values: list[bytes]) -> int:
    """Put elements into a map, in order; how many are in it. Fewer than all: why not shows when the next is put in."""
    count = c_uint32(len(keys))
    if _library().bpf_map_update_batch(descriptor, b"".join(keys), b"".join(values), byref(count), None) == 0:
        return len(keys)
    return count.value if count.value < len(keys) else 0  # refused as a whole: the kernel has not touched the count


def look_up(descriptor: int, key: bytes, size: int) -> bytes | None:
    """An element's ``size`` bytes (of a per-CPU map: all parts), or None."""
    value = ctypes.create_string_buffer(size)
    if _library().bpf_map_lookup_elem(descriptor, key, value) < 0:
        return None
    return value.raw


def delete(descriptor: int, key: bytes) -> bool:
    """Take an element out; whether it was there."""
    return bool(_library().bpf_map_delete_elem(descriptor, key) == 0)


def delete_many(descriptor: int, keys: list[bytes]) -> None:
    """Take elements out; one that is not there is no error."""
    size = len(keys[0]) if keys else 0
    at = 0
    while at < len(keys):
        rest = c_uint32(len(keys) - at)
        result = _library().bpf_map_delete_batch(descriptor, b"".join(keys[at:]), byref(rest), None)
        # The kernel stops at the first that is not there and says how many were before it.
        if result == 0:
            return
        if ctypes.get_errno() != errno.ENOENT or not size:
            for key in keys[at:]:
                delete(descriptor, key)
            return
        at += rest.value + 1


def dump(descriptor: int, key_size: int, value_size: int, batch: int = 1024) -> list[tuple[bytes, bytes]]:
    """Every (key, value) of a hash map. Raises HostError."""
    found: list[tuple[bytes, bytes]] = []
    keys = ctypes.create_string_buffer(key_size * batch)
    values = ctypes.create_string_buffer(value_size * batch)
    position, following = ctypes.create_string_buffer(8), ctypes.create_string_buffer(8)
    first = True
    while True:
        count = c_uint32(batch)
        given = None if first else position
        result = _library().bpf_map_lookup_batch(descriptor, given, following, keys, values, byref(count), None)
        number = ctypes.get_errno() if result < 0 else 0
        if number not in (0, errno.ENOENT):
            raise refused("read a map", number)
        found += [
            (keys.raw[i * key_size : (i + 1) * key_size], values.raw[i * value_size : (i + 1) * value_size])
            for i in range(count.value)
        ]
        if number == errno.ENOENT:
            return found
        position, following, first = following, position, False


def pin(descriptor: int, path: Path) -> None:
    """Keep a map or link alive by a name in a bpffs. Raises HostError."""
    _checked(f"pin {path}", _library().bpf_obj_pin(descriptor, os.fsencode(path)))


def open_pinned(path: Path) -> int:
    """A descriptor of what is pinned there. Raises HostError."""
    return _checked(f"open {path}", _library().bpf_obj_get(os.fsencode(path)))


def link_tcx(program: int, index: int) -> int:
    """Attach a program to the tcx ingress of an interface; the link's descriptor. Raises HostError."""
    return _checked(f"attach to interface {index}", _library().bpf_link_create(program, index, BPF_TCX_INGRESS, None))


def update_link(link: int, program: int) -> None:
    """Put another program into a link, without a gap. Raises HostError (ENOLINK: its interface is gone)."""
    _checked("replace the program of a link", _library().bpf_link_update(link, program, None))


def link_index(link: int) -> int:
    """The interface a tcx link is attached to, 0 when that is gone."""
    info = _LinkInfo()
    size = c_uint32(sizeof(info))
    _checked("look at a link", _library().bpf_obj_get_info_by_fd(link, byref(info), byref(size)))
    return int(info.ifindex)


def try_program(program: int, frame: bytes, context: bytes = b"", repeat: int = 1) -> tuple[int, bytes, int]:
    """Run a program on a frame without an interface: its answer, the frame afterwards, nanoseconds per run."""
    out = ctypes.create_string_buffer(len(frame) + 64)
    options = _TestRunOptions(
        sz=sizeof(_TestRunOptions),
        data_in=ctypes.cast(ctypes.c_char_p(frame), c_void_p),
        data_out=ctypes.cast(out, c_void_p),
        data_size_in=len(frame),
        data_size_out=len(out),
        repeat=repeat,
    )
    if context:
        options.ctx_in, options.ctx_size_in = ctypes.cast(ctypes.c_char_p(context), c_void_p), len(context)
    _checked("test the program", _library().bpf_prog_test_run_opts(program, byref(options)))
    return int(options.retval), out.raw[: options.data_size_out], int(options.duration)
