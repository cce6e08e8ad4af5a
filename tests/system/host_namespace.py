"""A network namespace of a test's own, with code of ours running inside it.

The code runs in a thread that has entered the namespace (setns(2) is per thread), so it can be called with values and
gives values back, and the test's process itself never moves. Names start with ``ihd``.
"""

from __future__ import annotations

import asyncio
import ctypes
import itertools
import os
import subprocess
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

_T = TypeVar("_T")
_CLONE_NEWNET = 0x40000000
_NUMBERS = itertools.count()

_libc = ctypes.CDLL(None, use_errno=True)
_libc.setns.argtypes = [ctypes.c_int, ctypes.c_int]
_libc.setns.restype = ctypes.c_int


class Namespace:
    """A network namespace by name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, function: Callable[[], _T]) -> _T:
        """Call a function inside; what it raises is raised here."""
        outcome: list[_T] = []
        failure: list[BaseException] = []

        def enter() -> None:
            try:
                with open(f"/run/netns/{self.name}") as file:
                    if _libc.setns(file.fileno(), _CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), f"cannot enter {self.name}")
                outcome.append(function())
            except BaseException as error:
                failure.append(error)

        thread = threading.Thread(target=enter, name=self.name)
        thread.start()
        thread.join()
        if failure:
            raise failure[0]
        return outcome[0]

    def run_async(self, main: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Run a coroutine in an event loop inside."""
        return self.run(lambda: asyncio.run(main()))

    def sh(self, command: str, *, check: bool = True, text: str | None = None) -> str:
        """Run a shell command inside; gives what it printed."""
        done = subprocess.run(
            ["ip", "netns", "exec", self.name, "sh", "-c", command],
            input=text,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"{command}: {done.stderr or done.stdout}")
        return done.stdout

    def sysctl(self, name: str) -> str:
        """A value below /proc/sys/net."""
        return self.sh(f"cat /proc/sys/net/{name}").strip()


@contextmanager
def namespace() -> Iterator[Namespace]:
    """Make a namespace with the loopback interface up; it goes away in every case, with all that is in it."""
    made = Namespace(f"ihd{os.getpid()}-{next(_NUMBERS)}")
    subprocess.run(["ip", "netns", "add", made.name], check=True)
    try:
        made.sh("ip link set lo up")
        yield made
    finally:
        subprocess.run(["ip", "netns", "delete", made.name], check=True)


@contextmanager
def two_hosts() -> Iterator[tuple[Namespace, Namespace]]:
    """Two namespaces joined by a veth pair, ``ihda`` in the first and ``ihdb`` in the second, both up, no addresses."""
    with namespace() as near, namespace() as far:
        near.sh(f"ip link add ihda type veth peer name ihdb netns {far.name}")
        near.sh("ip link set ihda up")
        far.sh("ip link set ihdb up")
        yield near, far


async def until(condition: Callable[[], bool], what: str, timeout_s: float = 5.0) -> None:
    """Wait for the kernel: until a condition holds, at most ``timeout_s``."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while not condition():
        assert loop.time() < deadline, f"waited {timeout_s} s in vain for {what}"
        await asyncio.sleep(0.005)
