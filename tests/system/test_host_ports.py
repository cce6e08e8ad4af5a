"""Ports on a real kernel: the host's IP stack neither sees nor answers them, and gets back exactly what was."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from inband.errors import UsageError
from inband.host.ports import Guard, PortOwnership
from tests.system.host_namespace import Namespace, two_hosts

pytestmark = pytest.mark.root


@pytest.fixture
def hosts() -> Iterator[tuple[Namespace, Namespace]]:
    """The switch's host, whose port is ``ihda`` and which has an address elsewhere too; and a host on that port."""
    with two_hosts() as (near, far):
        near.sh("ip address add 10.0.0.1/32 dev lo; ip address add 10.8.0.1/24 dev ihda")
        near.sh("ip address add fd00::1/64 dev ihda nodad; echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter")
        far.sh("ip address add 10.8.0.2/24 dev ihdb; ip route add 10.0.0.1 dev ihdb")
        far.sh("ip address add fd00::2/64 dev ihdb nodad")
        yield near, far


def own(net: Namespace) -> tuple[PortOwnership, Guard]:
    ports = PortOwnership()
    return ports, net.run(lambda: ports.own_port("ihda"))


def answers(far: Namespace, address: str) -> bool:
    return "1 received" in far.sh(f"ping -c 1 -W 1 {address}", check=False)


def state(net: Namespace) -> tuple[str, ...]:
    """All of the interface that a guard might change."""
    return (
        net.sh("ip -oneline link show ihda | sed 's/state.*//'"),
        net.sh("ip -oneline address show ihda | grep -v 'scope link' | sed 's/.*inet/inet/'"),
        net.sh("tc qdisc show dev ihda"),
        net.sh("tc filter show dev ihda ingress", check=False),
        net.sysctl("ipv6/conf/ihda/disable_ipv6"),
        net.sysctl("ipv4/conf/ihda/arp_ignore"),
        net.sysctl("ipv4/conf/ihda/rp_filter"),
    )


def test_the_host_answers_neither_ping_nor_arp_on_a_port(hosts: tuple[Namespace, Namespace]) -> None:
    near, far = hosts
    assert answers(far, "10.0.0.1")  # it would: Linux answers ARP for any of its addresses on any interface
    far.sh("ip neighbour flush dev ihdb")

    _, guard = own(near)

    assert guard.method == "tc"
    assert not answers(far, "10.0.0.1")
    assert "lladdr" not in far.sh("ip neighbour show 10.0.0.1")
    assert not answers(far, "fd00::1")


def test_a_tap_on_the_port_sees_every_frame(hosts: tuple[Namespace, Namespace]) -> None:
    near, far = hosts
    own(near)

    def listen() -> bytes:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as tap:
            tap.bind(("ihda", 0))
            tap.settimeout(5)
            far.sh("ping -c 1 -W 1 10.0.0.1", check=False)
            while (frame := tap.recv(2000))[12:14] != b"\x08\x06":
                pass
            return frame

    assert near.run(listen)[38:42] == socket.inet_aton("10.0.0.1")


@pytest.mark.parametrize("preparation", ["true", "ip link set ihda down", "tc qdisc add dev ihda clsact"])
def test_release_gives_back_exactly_what_was(hosts: tuple[Namespace, Namespace], preparation: str) -> None:
    near, _ = hosts
    near.sh(preparation)
    before = state(near)
    ports, _ = own(near)
    assert state(near) != before

    near.run(lambda: ports.release_port("ihda"))

    assert state(near) == before


def test_ipv6_that_was_off_stays_off(hosts: tuple[Namespace, Namespace]) -> None:
    near, _ = hosts
    near.sh("echo 1 > /proc/sys/net/ipv6/conf/ihda/disable_ipv6")
    ports, _ = own(near)

    near.run(ports.close)

    assert near.sysctl("ipv6/conf/ihda/disable_ipv6") == "1"


def test_a_filter_of_somebody_else_survives_guard_and_release(hosts: tuple[Namespace, Namespace]) -> None:
    near, _ = hosts
    near.sh("tc qdisc add dev ihda clsact; tc filter add dev ihda egress pref 9 bpf da bytecode '1,6 0 0 0'")
    ports, _ = own(near)

    near.run(ports.close)

    assert "pref 9" in near.sh("tc filter show dev ihda egress")


def test_what_a_killed_process_left_is_adopted_and_given_back(hosts: tuple[Namespace, Namespace]) -> None:
    near, _ = hosts
    near.sh("ip address del fd00::1/64 dev ihda; ip link set ihda down")
    before = state(near)
    own(near)  # and nobody releases it

    ports, guard = own(near)
    filters = near.sh("tc filter show dev ihda ingress")
    near.run(ports.close)

    assert guard.method == "tc"
    assert filters.count("direct-action") == 1
    assert state(near) == before


@pytest.mark.parametrize("before", ["off", "on"])
def test_a_port_that_a_datapath_made_promiscuous_is_given_back_as_it_was_also_after_a_kill(
    hosts: tuple[Namespace, Namespace], before: str
) -> None:
    near, _ = hosts
    near.sh(f"ip address del fd00::1/64 dev ihda; ip link set ihda promisc {before}")
    was = state(near)
    own(near)
    near.sh("ip link set ihda promisc on")

    ports, _ = own(near)  # another process, later
    near.run(lambda: ports.release_port("ihda"))

    assert state(near) == was


def test_owning_twice_is_owning_once(hosts: tuple[Namespace, Namespace]) -> None:
    near, _ = hosts
    before = state(near)
    ports, _ = own(near)

    near.run(lambda: ports.own_port("ihda"))
    near.run(lambda: ports.release_port("ihda"))

    assert state(near) == before


def test_a_port_is_up_and_guarded_before_it_was_up(hosts: tuple[Namespace, Namespace]) -> None:
    near, far = hosts
    near.sh("ip link set ihda down")

    own(near)

    assert "LOWER_UP" in near.sh("ip link show ihda")
    assert not answers(far, "10.0.0.1")


def test_an_interface_that_vanished_is_released_without_an_error(hosts: tuple[Namespace, Namespace]) -> None:
    near, far = hosts
    ports, first = own(near)
    near.sh(f"ip link del ihda; ip link add ihda type veth peer name ihdb netns {far.name}")
    before = near.sh("ip link show ihda")

    near.run(lambda: ports.release_port("ihda"))
    near.run(lambda: ports.release_port("ihda"))

    assert near.sh("ip link show ihda") == before
    assert near.run(lambda: ports.own_port("ihda")).index != first.index


def test_a_renamed_port_is_given_back_too(hosts: tuple[Namespace, Namespace]) -> None:
    near, _ = hosts
    ports, _ = own(near)
    near.sh("ip link set ihda down; ip link set ihda name ihdc; ip link set ihdc up")

    near.run(lambda: ports.release_port("ihda"))

    assert near.sh("tc filter show dev ihdc ingress", check=False) == ""
    assert near.sysctl("ipv6/conf/ihdc/disable_ipv6") == "0"


def test_a_port_that_is_not_there_is_refused(hosts: tuple[Namespace, Namespace]) -> None:
    near, _ = hosts

    with pytest.raises(UsageError, match="no interface ihdnothere"):
        near.run(lambda: PortOwnership().own_port("ihdnothere"))


def test_where_the_kernel_refuses_the_filter_sysctls_do_what_they_can(hosts: tuple[Namespace, Namespace]) -> None:
    near, far = hosts
    near.sh("tc qdisc add dev ihda clsact")
    near.sh("tc filter add dev ihda ingress pref 2 handle 1 bpf da bytecode '1,6 0 0 0'")  # our place is taken
    before = state(near)

    ports, guard = own(near)
    heard = answers(far, "10.0.0.1")
    near.run(ports.close)

    assert guard.method == "sysctl"
    assert {"arp_ignore=8", "rp_filter=1", "disable_ipv6=1"} <= set(guard.changes)
    assert not heard
    assert state(near) == before


IN_A_USER_NAMESPACE = """
import subprocess
from inband.host.interfaces import PortOwnership, ensure_local
subprocess.run("ip link add ihda type veth peer name ihdb", shell=True, check=True)
ports = PortOwnership()
guard = ports.own_port("ihda")
pair = ensure_local("ihdbr", None)
ports.close()
print(guard.method, pair.outer)
"""


def test_it_all_works_in_an_unprivileged_user_namespace() -> None:
    command = ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c", IN_A_USER_NAMESPACE]

    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    assert done.stdout.split() == ["tc", "ihdbr"], done.stderr
