"""The local port's address by DHCP: the system's own client, kept running.

What: starts udhcpc, dhclient or dhcpcd in the foreground as a child, restarts it when it ends, stops it by its pid.
The address arrives in the kernel and is seen there like any other (``inband.host.netlink``). DHCPv6 is the same with
the two of them that speak it; the default route over IPv6 comes from routers, not from there.

Why not a client of our own: leases, renewals and their corner cases are solved. Why a script of our own: see
``dhcp_script.sh``.

Invariants: one client per interface also after our kill -9, so the kernel kills the child with us; and its
files are where whoever starts next finds and removes them. The lease stays in place when the client stops: whoever
removes the interface removes the address.

Not here: letting DHCP through the flow table (``inband.control``).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

from inband.errors import HostError

_LOG = logging.getLogger(__name__)

_SCRIPT = Path(__file__).with_name("dhcp_script.sh")
# By IP version: the clients, best first, and the packages that have them.
_CLIENTS = {4: ("udhcpc", "dhclient", "dhcpcd"), 6: ("dhclient", "dhcpcd")}
_PACKAGES = {4: "udhcpc, isc-dhcp-client or dhcpcd", 6: "isc-dhcp-client or dhcpcd"}
_SEARCH_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
_BACK_OFF_S = (0.2, 1.0, 2.0, 5.0, 15.0, 60.0)
_STEADY_S = 60.0  # a client that lived this long is started again at once
_STOP_TIMEOUT_S = 2.0


class DhcpClient:
    """Keeps a DHCP client running on one interface, in the network namespace of the calling thread.

    ``directory`` is for the client's files alone: made by ``start``, empty each time, and removed by ``stop``.
    ``version`` is the IP version, 4 or 6. ``restarts`` counts how often the client ended by itself; ``last_error`` is
    the last thing it said. ``dns_file``, if given, is where the DNS servers of the lease are written, one a line.
    """

    def __init__(self, interface: str, directory: Path, version: int = 4, dns_file: Path | None = None) -> None:
        self.interface = interface
        self._directory = directory
        self._dns = {} if dns_file is None else {"INBAND_DNS_FILE": str(dns_file)}
        self.version = version
        self.restarts = 0
        self.last_error = ""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the client; needs a running event loop.

        Raises HostError when the system has none, or there can be no directory for its files.
        """
        if self._task is not None:
            return
        client = find_client(version=self.version)
        self._make_directory()
        self._task = asyncio.get_running_loop().create_task(self._keep_running(client), name=f"dhcp {self.interface}")

    async def stop(self) -> None:
        """Stop the client, and return when it has ended. The address stays."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            shutil.rmtree(self._directory, ignore_errors=True)

    def _make_directory(self) -> None:
        """Have an empty directory: a lease of an earlier client may be that of another network."""
        shutil.rmtree(self._directory, ignore_errors=True)
        try:
            self._directory.mkdir(mode=0o700, parents=True)
        except OSError as error:
            raise HostError(f"make {self._directory}", error.strerror or str(error), errno=error.errno or 0) from None

    async def _keep_running(self, client: str) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        command = command_line(client, self.interface, self._directory, self.version, self._dns)
        while True:
            started = loop.time()
            await self._run_once(command)
            self.restarts += 1
            failures = 0 if loop.time() - started >= _STEADY_S else failures + 1
            delay = _BACK_OFF_S[min(failures, len(_BACK_OFF_S) - 1)]
            level = logging.WARNING if failures == 1 else logging.DEBUG
            text = "the DHCPv%d client on %s ended (%s); it is started again in %g s"
            _LOG.log(level, text, self.version, self.interface, self.last_error or "without a word", delay)
            await asyncio.sleep(delay)

    async def _run_once(self, command: list[str]) -> None:
        """Run the client until it ends, or end it when we are cancelled."""
        pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        try:
            # A session of its own: a Ctrl-C in our terminal is for us.
            process = await asyncio.create_subprocess_exec(
                *command, stdin=null, stdout=null, stderr=pipe, start_new_session=True, env={**os.environ, **self._dns}
            )
        except OSError as error:
            self.last_error = f"{command[0]}: {error.strerror}"
            return
        try:
            await self._listen(process)
            await process.wait()
        finally:
            await _end(process)

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        while chunk := await process.stderr.read(4096):
            lines = chunk.decode(errors="replace").split("\n")
            self.last_error = next((line.strip()[:200] for line in reversed(lines) if line.strip()), self.last_error)


def find_client(search_path: str = _SEARCH_PATH, version: int = 4) -> str:
    """The path of the system's DHCP client; raises HostError that names packages when there is none."""
    for name in _CLIENTS[version]:
        path = shutil.which(name, path=search_path)
        if path is not None:
            return path
    reason = f"this system has no DHCPv{version} client: install one of the packages {_PACKAGES[version]}"
    raise HostError("start DHCP", reason)


def command_line(
    client: str, interface: str, directory: Path, version: int = 4, environment: Mapping[str, str] | None = None
) -> list[str]:
    """The client in the foreground, with our script where it takes one; ``directory`` is for its files.

    ``environment`` is for the script, which gets it from udhcpc anyhow.
    """
    match Path(client).name:
        case "udhcpc":
            # Ask each second, and after 3 times without an answer wait 1 s: the way to the server may only just be
            # coming up. 121: classless routes, which udhcpc does not ask for by itself.
            options = ["-f", "-i", interface, "-s", str(_SCRIPT), "-t", "3", "-T", "1", "-A", "1", "-O", "121"]
        case "dhclient":
            files = ["-pf", str(directory / "pid"), "-lf", str(directory / "leases")]
            variables = [word for name, value in (environment or {}).items() for word in ("-e", f"{name}={value}")]
            options = [f"-{version}", "-d", "-sf", str(_SCRIPT), *variables, *files, interface]
        case "dhcpcd":
            options = ["--nobackground", f"--ipv{version}only", "--nohook", "resolv.conf", interface]
        case unknown:
            raise ValueError(f"{unknown} is no DHCP client that is known here")
    return [*_die_with_us(), client, *options]


def _die_with_us() -> list[str]:
    """A prefix that has the kernel end the child when we die without a chance to do so.

    When we died before the kernel was told, the child has another parent by then, and does not become a client.
    """
    setpriv = shutil.which("setpriv", path=_SEARCH_PATH)
    if setpriv is None or Path(setpriv).resolve().name == "busybox":  # busybox's does not know the option
        return []
    return [setpriv, "--pdeathsig", "KILL", "--", "/bin/sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"', str(os.getpid())]


async def _end(process: asyncio.subprocess.Process) -> None:
    for end in (process.terminate, process.kill):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            end()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _STOP_TIMEOUT_S)


# DHCP clients that other programs start, and that leave lease and address as they are when they are ended.
_OTHERS = {"dhclient", "udhcpc", "dhcpcd"}


def stop_clients(interface: str) -> None:
    """End DHCP clients that others run on an interface of which the bridge has the lease from now on.

    They would go on with packet sockets, which no filter stops, and give it the address again.
    """
    for process, words in _clients_on(interface):
        with contextlib.suppress(OSError):  # it has ended
            os.kill(process, signal.SIGTERM)
            _LOG.warning("%s (process %d) ran on %s, a port now: it is ended", words[0], process, interface)


def client_versions(interface: str) -> frozenset[int]:
    """The IP versions for which others run DHCP clients on an interface. One that gets both counts for IPv4."""
    return frozenset(6 if "-6" in words else 4 for _, words in _clients_on(interface))


def _clients_on(interface: str) -> Iterator[tuple[int, list[str]]]:
    """Processes with their command lines, in our own network namespace."""
    here = os.readlink("/proc/self/ns/net")
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            is_one = Path(words[0]).name in _OTHERS and interface in words[1:]
            if is_one and os.readlink(process / "ns" / "net") == here:
                yield int(process.name), words
        except OSError:
            continue  # it has ended
