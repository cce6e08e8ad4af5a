"""The main job with packets in the kernel: the same scenes as in the other files, on the eBPF datapath."""

from __future__ import annotations

import pytest

from lab import measure, topology
from lab.inband import InbandSwitch
from lab.journal import until
from lab.scene import scene

pytestmark = pytest.mark.root

UP_S, SILENCE_S, LEASE_S = 10.0, 1.5, 10.0


class EbpfSwitch(InbandSwitch):
    """`inband run --datapath ebpf`."""

    name = "inband on eBPF"
    datapath = "ebpf"


@pytest.mark.parametrize("name", ["T1", "T2", "T3 row of 4", "T4", "T5", "T6 segment", "T6 router"])
def test_every_switch_comes_up_with_a_mute_controller_and_stays_up_under_a_hostile_one(name: str) -> None:
    with scene(EbpfSwitch, topology.MANY[name]) as stage:
        stage.connect()

        assert stage.all_up(UP_S)
        for switch in stage.switches:
            assert isinstance(switch, EbpfSwitch)
            assert switch.status()["datapath"] == "ebpf"

        silence = stage.withstand("drop")

        assert stage.lost() == 0
        assert silence < SILENCE_S


def test_closed_ports_stop_data_and_not_the_channel() -> None:
    found = measure.port_modification(EbpfSwitch, 2.0)

    assert found is not None
    silence, before, during = found
    assert before > 0
    assert during == 0
    assert silence < SILENCE_S


def test_a_gateway_that_moves_is_followed() -> None:
    change = measure.gateway_mac(EbpfSwitch, "silent", wait_s=20.0)

    assert change is not None
    assert change.silence_s < 3.0


@pytest.mark.parametrize("policy", ["drop", "controller"])
def test_a_lease_is_obtained_whatever_the_flow_table_says(policy: str) -> None:
    assert measure.lease(EbpfSwitch, policy) is not None


@pytest.mark.parametrize(
    ("client", "obtained"),
    [
        (("udhcpc", "-f", "-n", "-q", "-t", "5", "-T", "1", "-i", "eth0", "-s", "/bin/true"), "lease of 10.0.0.2"),
        (
            ("dhclient", "-1", "-d", "-v", "-sf", "/bin/true", "-lf", "/dev/null", "-pf", "/dev/null", "eth0"),
            "bound to",
        ),
    ],
    ids=["udhcpc", "dhclient"],
)
def test_hosts_get_leases_through_the_switch(client: tuple[str, ...], obtained: str) -> None:
    """Each reply comes up, for it might be for LOCAL, with a checksum that the server left to its card."""
    with scene(EbpfSwitch, lambda lab: topology.with_hosts(topology.same_subnet(lab), 2)) as stage:
        stage.switch.ofctl("add-flow", "priority=0,actions=NORMAL")
        host, server = stage.topology.hosts["h1"][0], stage.topology.hosts["h2"][0]
        topology.dhcp_server(server, "eth0", "10.0.0.220,10.0.0.230")
        host.run("ip", "address", "flush", "dev", "eth0")

        asking = host.start(*client, label=client[0])

        assert until(lambda: obtained in asking.tail(), LEASE_S), asking.tail()


def test_a_reply_for_another_client_is_not_delivered_to_local() -> None:
    assert measure.other_chaddr(EbpfSwitch) == 0


def test_a_killed_switch_is_back_soon_after_its_start() -> None:
    took = measure.crash(EbpfSwitch)

    assert took is not None
    assert took < 5.0
