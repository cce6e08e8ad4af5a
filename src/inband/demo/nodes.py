"""Network namespaces without names: each belongs to a process, and is gone when that is.

A node is a process that holds a network and a mount namespace (for its own /sys) and waits for the end of its input.
When the demo ends, however it ends, kill -9 included, that input ends, the process ends, and the kernel takes namespace
and interfaces with it. So there is nothing to clean up, nothing to collide with, and no need of /run/netns, which an
unprivileged user could not write.

Needs iproute2 and util-linux (unshare, nsenter, setpriv).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from inband.errors import HostError

_HOLD = "mount -t sysfs sysfs /sys 2>/dev/null; ip link set lo up && echo ready && exec cat"
STOP_S = 5.0
_CLONE_NEWNET = 0x40000000  # linux/sched.h
_LIBC = ctypes.CDLL(None, use_errno=True)


class Node:
    """One namespace. Raises HostError where the system refuses it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "--propagation", "slave", "sh", "-c", _HOLD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the demo, which then ends its children in order
        )
        assert self._holder.stdout is not None
        assert self._holder.stderr is not None
        if self._holder.stdout.readline() != b"ready\n":
            reason = self._holder.stderr.read().decode(errors="replace").strip()
            self.close()
            raise HostError("make a network namespace", reason or "unshare failed")

    @property
    def pid(self) -> int:
        """The process that holds the namespace."""
        return self._holder.pid

    def address(self, interface: str, address: str) -> None:
        """Give an interface an address."""
        self.run("ip", "address", "add", address, "dev", interface)

    def run(self, *command: str) -> None:
        """Run a command in the namespace; raises HostError with its own words."""
        run(*self._enter(), *command)

    def start(self, command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
        """Start a process in the namespace, output to a file; it gets SIGTERM when the demo dies."""
        with log.open("ab") as output:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *self._enter(), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Be in the namespace: sockets made meanwhile stay in it for good."""
        outside = os.open("/proc/self/ns/net", os.O_RDONLY)
        there = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY)
        try:
            _move_to(there)
            yield
        finally:
            _move_to(outside)
            os.close(there)
            os.close(outside)

    def listen(self, address: str, port: int) -> socket.socket:
        """A listening TCP socket in the namespace."""
        with self.inside():
            return socket.create_server((address, port))

    def icmp_socket(self) -> socket.socket:
        """A raw ICMP socket in the namespace, not blocking."""
        with self.inside():
            sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        sock.setblocking(False)
        return sock

    def close(self) -> None:
        """Let the namespace go."""
        for stream in (self._holder.stdin, self._holder.stdout, self._holder.stderr):
            if stream is not None:
                stream.close()
        stop(self._holder)

    def _enter(self) -> list[str]:
        # --root: a mount namespace begins at the system's root, which in a chroot is not ours.
        return ["nsenter", "--target", str(self.pid), "--net", "--mount", "--root", "--"]


def link(one: Node, one_interface: str, two: Node, two_interface: str) -> None:
    """Join two namespaces by a veth pair that is up at both ends."""
    peer = ("type", "veth", "peer", "name", two_interface, "netns", str(two.pid))
    one.run("ip", "link", "add", "name", one_interface, *peer)
    one.run("ip", "link", "set", one_interface, "up")
    two.run("ip", "link", "set", two_interface, "up")


def _move_to(namespace: int) -> None:
    """Have this thread be in a network namespace, by its descriptor: os.setns, which Python has from 3.12 on."""
    if _LIBC.setns(namespace, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise HostError("enter a network namespace", os.strerror(number), errno=number)


def run(*command: str) -> None:
    """Run a command to its end; raises HostError with what it said."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HostError(f"run {' '.join(command)}", done.stderr.strip() or f"exit code {done.returncode}")


def stop(process: subprocess.Popen[bytes]) -> int:
    """End a process in an orderly way, by force if that takes too long; returns its exit code."""
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
