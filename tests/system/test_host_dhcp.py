"""DHCP with real clients and a real server: an address and its routes arrive, and nothing else of the host changes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from inband.host.dhcp_client import DhcpClient
from tests.system.host_namespace import Namespace, two_hosts, until

pytestmark = pytest.mark.root


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[tuple[Namespace, Namespace]]:
    """A host without an address on ``ihda``, and behind it a DHCP server at 10.0.0.1."""
    with two_hosts() as (near, far):
        far.sh("ip address add 10.0.0.1/24 dev ihdb")
        options = ["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--port=0", "--pid-file="]
        options += ["--interface=ihdb", "--dhcp-range=10.0.0.10,10.0.0.20,2m", "--no-ping"]
        options += ["--dhcp-option=121,10.77.0.0/16,10.0.0.2,0.0.0.0/0,10.0.0.1", "--dhcp-option=6,10.0.0.1"]
        options += [f"--dhcp-leasefile={tmp_path / 'leases'}"]
        server = subprocess.Popen(["ip", "netns", "exec", far.name, "dnsmasq", *options], stderr=subprocess.DEVNULL)
        try:
            yield near, far
        finally:
            server.kill()
            server.wait()


def leased(net: Namespace) -> str:
    return net.sh("ip -4 -oneline address show ihda dynamic | awk '{print $4}'").strip()


def clients(net: Namespace) -> list[int]:
    """The processes of DHCP clients in a namespace."""
    return [int(pid) for pid in net.sh("ip netns pids $(ip netns identify)").split() if "dhc" in _command(int(pid))]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def test_a_lease_brings_the_address_and_the_routes_and_leaves_the_resolver_alone(
    hosts: tuple[Namespace, Namespace],
    tmp_path: Path,
) -> None:
    near, _ = hosts
    resolver = Path("/etc/resolv.conf").read_bytes()

    async def main() -> None:
        client = DhcpClient("ihda", tmp_path / "client")
        client.start()
        try:
            await until(lambda: "10.77.0.0/16" in near.sh("ip route"), "the lease and its routes", 15)
        finally:
            await client.stop()

    near.run_async(main)

    assert leased(near).startswith("10.0.0.")
    assert "default via 10.0.0.1 dev ihda" in near.sh("ip route")
    assert Path("/etc/resolv.conf").read_bytes() == resolver
    assert clients(near) == []


def test_a_client_that_is_killed_comes_back_and_the_address_never_leaves(
    hosts: tuple[Namespace, Namespace], tmp_path: Path
) -> None:
    near, _ = hosts

    async def main() -> tuple[str, str, int]:
        client = DhcpClient("ihda", tmp_path / "client")
        client.start()
        try:
            # The client's script counts as one too while it runs.
            await until(lambda: leased(near) != "" and len(clients(near)) == 1, "the lease", 15)
            first, (pid,) = leased(near), clients(near)
            os.kill(pid, signal.SIGKILL)
            await until(lambda: clients(near) not in ([], [pid]), "another client", 10)
            return first, leased(near), client.restarts
        finally:
            await client.stop()

    first, second, restarts = near.run_async(main)

    assert first == second != ""
    assert restarts == 1


def test_the_client_dies_with_a_process_that_is_killed(hosts: tuple[Namespace, Namespace], tmp_path: Path) -> None:
    near, _ = hosts
    program = (
        "import asyncio, sys; from pathlib import Path; from inband.host.dhcp_client import DhcpClient\n"
        "async def main(): DhcpClient('ihda', Path(sys.argv[1])).start(); await asyncio.sleep(60)\n"
        "asyncio.run(main())"
    )
    command = ["ip", "netns", "exec", near.name, sys.executable, "-c", program, str(tmp_path / "client")]
    process = subprocess.Popen(command)

    async def main() -> None:
        try:
            await until(lambda: clients(near) != [], "the client", 10)
        finally:
            process.kill()
            process.wait()
        await until(lambda: clients(near) == [], "the client to die", 5)

    near.run_async(main)


def test_the_default_route_of_somebody_else_comes_first(hosts: tuple[Namespace, Namespace], tmp_path: Path) -> None:
    near, _ = hosts
    near.sh("ip link add ihdc type veth peer name ihdd; ip link set ihdc up; ip link set ihdd up")
    near.sh("ip address add 10.5.0.1/24 dev ihdc; ip route add default via 10.5.0.254")

    async def main() -> None:
        client = DhcpClient("ihda", tmp_path / "client")
        client.start()
        try:
            await until(lambda: "10.0.0.1 dev ihda" in near.sh("ip route show default"), "the second default", 15)
        finally:
            await client.stop()

    near.run_async(main)

    first, second = near.sh("ip route show default").splitlines()
    assert "via 10.5.0.254 dev ihdc" in first
    assert "via 10.0.0.1 dev ihda" in second


def test_a_client_that_cannot_run_is_tried_again_with_growing_pauses(
    hosts: tuple[Namespace, Namespace], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    near, _ = hosts

    async def main() -> DhcpClient:
        client = DhcpClient("ihdnothere", tmp_path / "client")
        client.start()
        try:
            await until(lambda: client.restarts >= 2, "two tries", 10)
            await asyncio.sleep(0.5)
        finally:
            await client.stop()
        return client

    client = near.run_async(main)

    assert client.restarts == 2
    assert "No such device" in client.last_error
    assert len(caplog.records) == 1
