"""Network namespaces, links, addresses and processes that vanish together.

``Lab`` makes namespaces with random names, so that several laboratories can be up at the same time, and removes what it
made whatever happens: first the processes (a tap outlives its namespace's name while a process holds it), then
the namespaces, which take their interfaces along.

    with Lab("ihf") as lab:
        left, right = lab.namespace("left"), lab.namespace("right")
        lab.link(left, "eth0", right, "eth0")
        left.address("eth0", "10.0.0.1/24")
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Protocol, TypeVar

from lab.process import Process, bury

ROOT = Path(__file__).resolve().parents[1]
"""Where commands are started, so that `python -m lab.controller` works."""


NETNS = Path("/etc/netns")
"""Where `ip netns exec` looks for files to show instead of those of /etc."""


class CommandError(Exception):
    """A command of the laboratory (not of the switch) failed: what, where, and what it said."""


class Closable(Protocol):
    """What a laboratory can close at its end."""

    def close(self) -> None:
        """Give back what it holds; harmless the second time."""


Held = TypeVar("Held", bound=Closable)


class Namespace:
    """One network namespace: a box of its own with interfaces, addresses, routes and processes."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab = lab
        self.short = name
        self.name = f"{lab.tag}-{name}"

    def __repr__(self) -> str:
        return f"Namespace({self.name})"

    def run(self, *argv: str, check: bool = True, timeout_s: float = 20.0, stdin: str = "") -> str:
        """Run a command inside to its end and return what it printed; raise CommandError when it fails."""
        return run("ip", "netns", "exec", self.name, *argv, check=check, timeout_s=timeout_s, stdin=stdin)

    def ip(self, *commands: str) -> None:
        """Run several `ip` commands inside at the price of one."""
        run("ip", "-n", self.name, "-batch", "-", stdin="\n".join(commands) + "\n")

    def start(self, *argv: str, label: str = "", env: Mapping[str, str] | None = None) -> Process:
        """Start a command inside; it ends with the laboratory at the latest."""
        return self.lab.start(["ip", "netns", "exec", self.name, *argv], f"{self.short}-{label or argv[0]}", env)

    def pids(self) -> list[int]:
        """Return the processes inside."""
        return [int(pid) for pid in run("ip", "netns", "pids", self.name).split()]

    def address(self, interface: str, *addresses: str) -> None:
        """Add addresses (with prefix length) to an interface and set it up."""
        self.ip(f"link set dev {interface} up", *(f"addr add {address} dev {interface}" for address in addresses))

    def route(self, destination: str, gateway: str) -> None:
        """Set the route to a destination (or `default`), replacing the one that was there."""
        self.ip(f"route replace {destination} via {gateway}")

    def mac(self, interface: str) -> str:
        """Return the interface's MAC address as text."""
        return self.run("cat", f"/sys/class/net/{interface}/address").strip()

    def counter(self, interface: str, name: str) -> int:
        """Return one of the kernel's counters of an interface, for example `rx_packets`."""
        return int(self.run("cat", f"/sys/class/net/{interface}/statistics/{name}"))

    def resolv_conf(self, *servers: str) -> None:
        """Have commands started inside from now on find these DNS servers in /etc/resolv.conf (ip-netns(8))."""
        folder = NETNS / self.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "resolv.conf").write_text("".join(f"nameserver {server}\n" for server in servers))

    def sysctl(self, **values: str | int) -> None:
        """Set kernel parameters; `__` means a dot: `net__ipv4__ip_forward=1`."""
        for key, value in values.items():
            self.run("sysctl", "-qw", f"{key.replace('__', '.')}={value}")

    def pings(self, target: str, *, count: int = 3, interval_s: float = 0.05, wait_s: float = 1.0) -> int:
        """Ping and return how many replies came."""
        words = ("ping", "-n", "-q", "-c", f"{count}", "-i", f"{interval_s}", "-W", f"{wait_s}", target)
        out = self.run(*words, check=False, timeout_s=20.0 + count * interval_s)
        received = [word for word in out.split(",") if "received" in word]
        return int(received[0].split()[0]) if received else 0


class NetworkOnly(Namespace):
    """The same namespace for commands that have no mounts of their own (and the system's /sys).

    `ip netns exec` gives each command a mount namespace: what it mounts ends with it.
    """

    def __init__(self, network: Namespace) -> None:
        super().__init__(network.lab, network.short)

    def start(self, *argv: str, label: str = "", env: Mapping[str, str] | None = None) -> Process:
        """As ``Namespace.start``."""
        return self.lab.start(["nsenter", f"--net=/run/netns/{self.name}", *argv], f"{self.short}-{label}", env)


PREFIX = os.environ.get("LAB_PREFIX", "ihf")
"""What the names of namespaces start with: whoever works on one machine with others takes another one."""


class Lab:
    """A set of namespaces and processes; a context manager that leaves nothing behind."""

    def __init__(self, prefix: str = PREFIX, *, offloads: bool = True) -> None:
        """Set ``offloads=False`` for a switch that loses packets whose checksums are left to the interface."""
        self.tag = f"{prefix}{secrets.token_hex(2)}"
        self.offloads = offloads
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.tag}-"))
        self._namespaces: list[Namespace] = []
        self._processes: list[Process] = []
        self._numbers = itertools.count()  # several threads start processes
        self._held = contextlib.ExitStack()

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(self.story())
        self.close()

    def namespace(self, name: str) -> Namespace:
        """Make a namespace whose loopback is up."""
        run("ip", "netns", "add", f"{self.tag}-{name}")
        made = Namespace(self, name)
        self._namespaces.append(made)
        made.ip("link set lo up")
        return made

    def link(self, left: Namespace, left_if: str, right: Namespace, right_if: str) -> None:
        """Connect two namespaces by a veth pair, both ends up."""
        run(
            "ip",
            "link",
            "add",
            left_if,
            "netns",
            left.name,
            "type",
            "veth",
            "peer",
            "name",
            right_if,
            "netns",
            right.name,
        )
        for end, interface in ((left, left_if), (right, right_if)):
            end.ip(f"link set dev {interface} up")
            if not self.offloads:
                end.run("ethtool", "-K", interface, "tx", "off")

    @property
    def processes(self) -> tuple[Process, ...]:
        """All that were started, in their order."""
        return tuple(self._processes)

    def start(self, argv: list[str], label: str, env: Mapping[str, str] | None = None) -> Process:
        """Start a process that ends with the laboratory at the latest."""
        log = self.folder / f"{next(self._numbers):03d}-{label.replace('/', '_')}.log"
        process = Process(argv, log, cwd=ROOT, env=env)
        self._processes.append(process)
        return process

    def hold(self, thing: Held) -> Held:
        """Close this with the laboratory; return it."""
        self._held.callback(thing.close)
        return thing

    def story(self) -> str:
        """Return the last lines of every process's output, for a failure's report."""
        parts = [f"--- {' '.join(each.argv[:8])} (exit {each.exit_code})\n{each.tail(12)}" for each in self._processes]
        return "\n".join(parts)

    def close(self) -> None:
        """Stop the processes, youngest first and all at once, then remove the namespaces and the files."""
        self._held.close()
        for process in reversed(self._processes):
            process.begin_kill9()
        for namespace in self._namespaces:
            with contextlib.suppress(CommandError):
                run("ip", "netns", "del", namespace.name)
            shutil.rmtree(NETNS / namespace.name, ignore_errors=True)
        bury(self._processes)
        self._processes.clear()
        self._namespaces.clear()
        shutil.rmtree(self.folder, ignore_errors=True)


def run(*argv: str, check: bool = True, timeout_s: float = 20.0, stdin: str = "") -> str:
    """Run a command and return what it printed (its errors too when it failed); raise CommandError when it fails."""
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=timeout_s, cwd=ROOT, check=False)
    if check and done.returncode:
        raise CommandError(f"{' '.join(argv)}: exit {done.returncode}\n{stdin}{done.stdout}{done.stderr}")
    return done.stdout if done.returncode == 0 else done.stdout + done.stderr
