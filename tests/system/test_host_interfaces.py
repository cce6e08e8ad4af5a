"""The bridge's own interface on a real kernel: made, adopted after kill -9, replaced or refused."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from ipaddress import ip_address, ip_interface

import pytest

from inband.errors import HostError, UsageError
from inband.host.interfaces import (
    LocalPair,
    check_port,
    enable_ipv6,
    ensure_local,
    remove_local,
    set_addresses,
    set_gateway,
    set_mac,
)
from inband.vocabulary.addresses import BROADCAST, Mac
from tests.system.host_namespace import Namespace, namespace

pytestmark = pytest.mark.root

BRIDGE = "ihdbr"
MAC = Mac.parse("02:00:00:00:00:01")
V4, V6 = ip_interface("10.0.0.1/24"), ip_interface("fd00::1/64")
GATEWAY = ip_address("10.0.0.254")


@pytest.fixture
def net() -> Iterator[Namespace]:
    with namespace() as made:
        yield made


def made(net: Namespace, mac: Mac | None = None) -> LocalPair:
    return net.run(lambda: ensure_local(BRIDGE, mac))


def link(net: Namespace, name: str) -> str:
    return net.sh(f"ip -details link show {name}", check=False)


def test_the_pair_is_up_named_and_has_the_mac_asked_for(net: Namespace) -> None:
    pair = made(net, MAC)

    assert (pair.outer, pair.mac) == (BRIDGE, MAC)
    assert pair.index == int(net.sh(f"cat /sys/class/net/{BRIDGE}/ifindex"))
    assert f"{MAC}" in link(net, BRIDGE)
    for name, end in ((pair.outer, "outer"), (pair.inner, "inner")):
        assert "LOWER_UP" in link(net, name)
        assert f"alias inband:{BRIDGE}:{end}" in link(net, name)


def test_the_inner_end_has_no_address_and_the_host_does_not_hear_it(net: Namespace) -> None:
    pair = made(net)

    assert "inet" not in net.sh(f"ip address show {pair.inner}")
    assert "direct-action" in net.sh(f"tc filter show dev {pair.inner} ingress")


def test_a_bridge_with_the_longest_name_gets_a_pair(net: Namespace) -> None:
    pair = net.run(lambda: ensure_local("ihd456789012345", None))

    assert len(pair.inner) <= 15
    assert "LOWER_UP" in link(net, pair.inner)


def test_asking_again_changes_nothing(net: Namespace) -> None:
    first = made(net)

    assert made(net) == first


def test_a_left_over_pair_keeps_mac_addresses_and_routes(net: Namespace) -> None:
    before = made(net)
    net.run(lambda: set_addresses(BRIDGE, [V4]))
    net.run(lambda: set_gateway(BRIDGE, GATEWAY))

    after = made(net)

    assert after == before
    assert str(V4) in net.sh(f"ip address show {BRIDGE}")
    assert str(GATEWAY) in net.sh("ip route")


def test_a_left_over_pair_takes_another_mac_when_asked(net: Namespace) -> None:
    before = made(net)
    net.run(lambda: set_addresses(BRIDGE, [V4]))

    after = made(net, MAC)

    assert (after.index, after.mac) == (before.index, MAC)
    assert str(V4) in net.sh(f"ip address show {BRIDGE}")


def test_a_pair_left_between_making_and_naming_is_adopted(net: Namespace) -> None:
    before = made(net)
    net.sh(f"ip link set {BRIDGE} alias ''")

    assert made(net).index == before.index


@pytest.mark.parametrize("broken", ["outer", "inner"])
def test_a_left_over_whose_other_end_was_renamed_is_replaced(net: Namespace, broken: str) -> None:
    pair = made(net)
    moved = pair.outer if broken == "outer" else pair.inner
    net.sh(f"ip link set {moved} down; ip link set {moved} name ihdmoved")

    again = made(net)

    assert again.index != pair.index
    assert "LOWER_UP" in link(net, again.inner)
    assert not link(net, "ihdmoved")


def test_a_left_over_whose_other_end_is_in_another_namespace_is_replaced(net: Namespace) -> None:
    pair = made(net)
    with namespace() as other:
        net.sh(f"ip link set {pair.inner} netns {other.name}")

        again = made(net)

    assert again.index != pair.index
    assert "LOWER_UP" in link(net, again.inner)


@pytest.mark.parametrize("kind", ["bridge", "veth"])
def test_an_interface_of_somebody_else_is_refused_and_left_alone(net: Namespace, kind: str) -> None:
    net.sh(f"ip link add {BRIDGE} type {kind}")
    before = link(net, BRIDGE)

    with pytest.raises(UsageError, match="not the switch's"):
        made(net)

    net.run(lambda: remove_local(BRIDGE))
    assert link(net, BRIDGE) == before


def test_an_impossible_name_or_mac_is_refused(net: Namespace) -> None:
    with pytest.raises(UsageError, match="cannot be an interface"):
        net.run(lambda: ensure_local("a/b", None))
    with pytest.raises(UsageError, match="group address"):
        made(net, BROADCAST)


def test_removing_takes_both_ends_and_may_be_repeated(net: Namespace) -> None:
    pair = made(net)

    net.run(lambda: remove_local(BRIDGE))
    net.run(lambda: remove_local(BRIDGE))

    assert not link(net, pair.outer)
    assert not link(net, pair.inner)


def test_the_mac_changes_while_the_interface_is_up(net: Namespace) -> None:
    made(net)

    net.run(lambda: set_mac(BRIDGE, MAC))

    assert str(MAC) in link(net, BRIDGE)
    with pytest.raises(UsageError, match="no interface"):
        net.run(lambda: set_mac("ihdnothere", MAC))


def test_a_free_interface_can_be_a_port(net: Namespace) -> None:
    net.sh("ip link add ihda type veth peer name ihdb")

    net.run(lambda: check_port("ihda"))


@pytest.mark.parametrize(
    ("interface", "reason"),
    [
        ("ihdnothere", "no interface"),
        ("lo", "loopback"),
        ("ihda", "belongs to ihdbridge"),
        (BRIDGE, "bridge's own"),
        ("ihdbr-in", "bridge's own"),
        ("ihdtun", "not an Ethernet"),
        ("no good", "cannot be an interface"),
    ],
)
def test_what_cannot_be_a_port_is_refused_with_the_reason(net: Namespace, interface: str, reason: str) -> None:
    made(net)
    net.sh("ip link add ihda type veth peer name ihdb; ip link add ihdbridge type bridge")
    net.sh("ip link set ihda master ihdbridge; ip tuntap add ihdtun mode tun")

    with pytest.raises(UsageError, match=reason):
        net.run(lambda: check_port(interface))


def test_ipv6_is_allowed_on_the_interface_where_the_system_forbids_it_on_new_ones(net: Namespace) -> None:
    net.sh("sysctl -qw net.ipv6.conf.default.disable_ipv6=1")
    made(net)

    with pytest.raises(HostError, match="IPv6 is disabled here: allow it with"):
        net.run(lambda: set_addresses(BRIDGE, [V6]))
    net.run(lambda: enable_ipv6(BRIDGE))
    net.run(lambda: set_addresses(BRIDGE, [V6]))

    assert str(V6) in net.sh(f"ip -6 address show {BRIDGE}")


def test_ipv6_addresses_are_kept_while_the_interface_is_down(net: Namespace) -> None:
    made(net)
    net.run(lambda: enable_ipv6(BRIDGE))
    net.run(lambda: set_addresses(BRIDGE, [V6]))

    net.sh(f"ip link set {BRIDGE} down; ip link set {BRIDGE} up")

    assert str(V6) in net.sh(f"ip -6 address show {BRIDGE}")


def test_addresses_are_set_once_and_only_ours_go_away(net: Namespace) -> None:
    made(net)
    net.sh(f"ip address add 10.99.0.1/24 dev {BRIDGE}")
    net.run(lambda: set_addresses(BRIDGE, [V4, V6]))
    net.run(lambda: set_addresses(BRIDGE, [V4, V6], previous=[V4, V6]))
    both = net.sh(f"ip address show {BRIDGE}")

    net.run(lambda: set_addresses(BRIDGE, [ip_interface("10.0.0.2/24")], previous=[V4, V6]))

    assert (str(V4) in both, str(V6) in both) == (True, True)
    after = net.sh(f"ip address show {BRIDGE}")
    assert "10.0.0.2/24" in after
    assert "10.99.0.1/24" in after
    assert (str(V4) in after, str(V6) in after) == (False, False)


def test_the_gateway_is_set_changed_and_removed(net: Namespace) -> None:
    made(net)
    second = ip_address("10.0.0.253")
    net.run(lambda: set_addresses(BRIDGE, [V4]))
    net.run(lambda: set_gateway(BRIDGE, GATEWAY))
    net.run(lambda: set_gateway(BRIDGE, GATEWAY, previous=GATEWAY))
    first = net.sh("ip route show default")

    net.run(lambda: set_gateway(BRIDGE, second, previous=GATEWAY))
    changed = net.sh("ip route show default")
    net.run(lambda: set_gateway(BRIDGE, None, previous=second))

    assert f"via {GATEWAY} dev {BRIDGE}" in first
    assert f"via {second} dev {BRIDGE}" in changed
    assert str(GATEWAY) not in changed
    assert net.sh("ip route show default") == ""


def test_an_ipv6_gateway_is_set(net: Namespace) -> None:
    made(net)
    net.run(lambda: set_addresses(BRIDGE, [V6]))

    net.run(lambda: set_gateway(BRIDGE, ip_address("fd00::fe")))

    assert "via fd00::fe" in net.sh("ip -6 route show default")


def test_a_link_local_gateway_that_is_there_already_is_no_other_default_route(net: Namespace) -> None:
    made(net)
    net.run(lambda: set_addresses(BRIDGE, [V6]))
    gateway = ip_address(f"fe80::fe%{BRIDGE}")

    for _ in range(2):
        net.run(lambda: set_gateway(BRIDGE, gateway))

    assert net.sh("ip -6 route show default").count("via fe80::fe") == 1


def test_the_default_route_of_somebody_else_is_never_replaced(net: Namespace) -> None:
    made(net)
    net.sh("ip link add ihda type veth peer name ihdb; ip address add 10.5.0.1/24 dev ihda; ip link set ihda up")
    net.sh("ip route add default via 10.5.0.254")
    net.run(lambda: set_addresses(BRIDGE, [V4]))

    with pytest.raises(UsageError, match="another default route"):
        net.run(lambda: set_gateway(BRIDGE, GATEWAY))

    assert "via 10.5.0.254 dev ihda" in net.sh("ip route show default")


def test_a_gateway_on_no_network_of_the_interface_is_refused(net: Namespace) -> None:
    made(net)
    net.run(lambda: set_addresses(BRIDGE, [V4]))

    with pytest.raises(UsageError, match=r"gateway 172\.16\.0\.1 is on no network"):
        net.run(lambda: set_gateway(BRIDGE, ip_address("172.16.0.1")))


def test_one_address_that_the_kernel_refuses_costs_no_other_one(net: Namespace) -> None:
    made(net)
    loopback = ip_interface("::1/128")

    with pytest.raises(HostError, match="add ::1/128"):
        net.run(lambda: set_addresses(BRIDGE, [loopback, V4], previous=[ip_interface("10.0.0.2/24")]))

    assert str(V4) in net.sh(f"ip address show {BRIDGE}")


def test_a_silent_gateway_is_asked_again_soon_and_by_broadcast(net: Namespace) -> None:
    made(net)

    assert net.sysctl(f"ipv4/neigh/{BRIDGE}/mcast_resolicit") == "8"
    assert int(net.sysctl(f"ipv6/neigh/{BRIDGE}/retrans_time_ms")) < 300


def test_without_privileges_the_error_says_what_is_needed(net: Namespace) -> None:
    made(net)

    with pytest.raises(HostError, match="CAP_NET_ADMIN"):
        net.run(_set_mac_without_privileges)


def _set_mac_without_privileges() -> None:
    """Drop this thread's effective capabilities (capset(2)) and try."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    nothing = (ctypes.c_uint32 * 6)()
    libc.capset.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    assert libc.capset(header, nothing) == 0
    set_mac(BRIDGE, MAC)
