"""Remotes by name: the DNS server is reached over the very network that the switches have yet to open.

The servers are dnsmasq, unbound and a liar; the controller is mute or drops everything. What must not happen is that a
name makes a channel slower or less sure than an address does, or a hole in the controller's policy.
"""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import replace

import pytest

from lab import measure, name_servers, special, topology
from lab.addressing import IPV6
from lab.controllers import LabController
from lab.inband import InbandSwitch
from lab.journal import until
from lab.name_servers import NAME, OTHER, Asking, dnsmasq, liar, named, record, unbound
from lab.net import Lab
from lab.scene import Scene, scene
from lab.topology import Topology

pytestmark = pytest.mark.root

CONTROLLER, FIRST, SECOND = "10.0.0.100", "10.0.0.53", "10.0.0.54"


def serve(made: Topology) -> object:
    """A DNS server on the controller's own address."""
    return dnsmasq(made.controller, made.remote, record(made.remote))


def with_servers(made: Topology, *addresses: str) -> None:
    """Give the controller's machine more addresses, for DNS servers."""
    made.controller.address("eth0", *(f"{address}/24" for address in addresses))


def in_band(stage: Scene) -> InbandSwitch:
    """The first switch, as ours."""
    switch = stage.switch
    assert isinstance(switch, InbandSwitch)
    return switch


def remotes(stage: Scene) -> set[str]:
    """The addresses that the first switch protects."""
    return {remote["address"] for remote in in_band(stage).status()["in_band"]["remotes"]}


LAYS = {
    "T1": (topology.same_subnet, CONTROLLER),
    "T2": (topology.behind_gateway, "10.9.0.100"),
    "T3 row of 4": (lambda lab: topology.row(lab, 4), CONTROLLER),
    "T4": (topology.between_switch_and_gateway, "10.9.0.100"),
    "T5": (topology.guest_controller, CONTROLLER),
}


@pytest.mark.parametrize("name", LAYS)
def test_a_controller_with_a_name_is_found_from_empty_tables_and_kept_under_drop_all(name: str) -> None:
    lay, server = LAYS[name]

    with scene(Asking((server,)), named(lay, serve)) as stage:
        stage.connect()
        up_s = stage.up_after(8.0)
        assert up_s is not None, stage.story()
        silence_s = stage.withstand("drop")

    assert up_s < 2.0  # a busy machine; the benchmark has the figures
    assert silence_s < 1.0


@pytest.mark.parametrize("server", ["dnsmasq", "unbound"])
def test_both_families_of_a_name_are_protected_and_shown(server: str) -> None:
    both = f"{CONTROLLER},fd00::100"

    def serve_both(made: Topology) -> None:
        made.controller.ip("addr add fd00::100/64 dev eth0 nodad")
        if server == "dnsmasq":
            dnsmasq(made.controller, CONTROLLER, f"--host-record={NAME},{both},300")
        else:
            rows = (f"{NAME}. 300 IN A {CONTROLLER}", f"{NAME}. 300 IN AAAA fd00::100")
            unbound(made.controller, CONTROLLER, *rows)

    with scene(Asking((CONTROLLER,)), named(topology.same_subnet, serve_both)) as stage:
        stage.connect()
        assert stage.all_up(8.0), stage.story()
        in_band_state = in_band(stage).status()["in_band"]

    assert {remote["address"] for remote in in_band_state["remotes"]} == {CONTROLLER, "fd00::100"}


def test_over_ipv6_alone_a_name_is_resolved_behind_another_switch() -> None:
    def lay(lab: Lab) -> Topology:
        made = topology.row(lab, 2, IPV6)
        name_servers.serve_here(made)
        return name_servers.by_name(made)

    with scene(Asking(()), lay) as stage:
        stage.connect()
        assert stage.all_up(10.0), stage.story()
        assert stage.withstand("drop") < 1.0


@pytest.mark.parametrize("datapath", ["userspace", "ebpf"])
def test_other_dns_stays_the_controllers_business(datapath: str) -> None:
    def lay(lab: Lab) -> Topology:
        made = topology.with_hosts(topology.same_subnet(lab), 1)
        dnsmasq(made.controller, CONTROLLER, record(CONTROLLER), record("10.0.0.77", name=OTHER))
        return name_servers.by_name(made)

    with scene(Asking((CONTROLLER,), datapath=datapath), lay) as stage:
        stage.connect()
        assert stage.all_up(8.0), stage.story()
        host = stage.topology.hosts["h1"][0]
        stage.controller.order("drop")
        time.sleep(measure.SETTLE_S)
        for tcp in (False, True):
            assert name_servers.asks(host, CONTROLLER, NAME, tcp=tcp), "a switch behind this one could not ask"
            assert not name_servers.asks(host, CONTROLLER, OTHER, tcp=tcp, timeout_s=0.5), "drop-all did not drop it"


@pytest.mark.parametrize("how", ["wrong-id", "wrong-case", "truncate", "silent"])
def test_a_server_that_lies_is_not_believed_and_the_next_one_asked(how: str) -> None:
    def serve_lies(made: Topology) -> None:
        with_servers(made, FIRST, SECOND)
        liar(made.controller, FIRST, how)
        unbound(made.controller, SECOND, f"{NAME}. 300 IN A {CONTROLLER}")

    with scene(Asking((FIRST, SECOND)), named(topology.same_subnet, serve_lies)) as stage:
        stage.connect()
        assert stage.all_up(8.0), stage.story()
        shown = in_band(stage).status()

    assert {remote["address"] for remote in shown["in_band"]["remotes"]} == {CONTROLLER}


def test_a_wrong_address_costs_a_second_when_another_server_knows_the_right_one() -> None:
    def serve_lies(made: Topology) -> None:
        with_servers(made, FIRST, SECOND)
        liar(made.controller, FIRST, "address=10.0.0.66")
        unbound(made.controller, SECOND, f"{NAME}. 300 IN A {CONTROLLER}")

    with scene(Asking((FIRST, SECOND)), named(topology.same_subnet, serve_lies)) as stage:
        stage.connect()
        up_s = stage.up_after(15.0)

    assert up_s is not None
    assert up_s < 6.0


def test_an_answer_too_long_for_udp_is_fetched_by_tcp() -> None:
    aliases = [f"{letter * 60}.{letter * 60}.{letter * 60}.example.net" for letter in "abcd"]
    chain = itertools.pairwise([NAME, *aliases, "real.example.net"])
    options = [f"--cname={alias},{target},300" for alias, target in chain]

    def serve_long(made: Topology) -> None:
        dnsmasq(made.controller, CONTROLLER, record(CONTROLLER, name="real.example.net"), *options)

    with scene(Asking((CONTROLLER,)), named(topology.same_subnet, serve_long)) as stage:
        stage.connect()
        assert stage.all_up(8.0), stage.story()
        assert stage.withstand("drop") < 1.0
        with stage.switch.control() as control:
            rows = control.call("bridge/dump-flows", "br0").splitlines()

    (by_tcp,) = [row for row in rows if "letter=m" in row and ",tcp," in row]
    assert "n_packets=0," not in by_tcp


def test_a_controller_that_moves_is_found_again_through_its_name() -> None:
    servers: list[object] = []

    def serve_briefly(made: Topology) -> None:
        with_servers(made, FIRST)
        servers.append(dnsmasq(made.controller, FIRST, record(CONTROLLER, ttl=3600)))

    with scene(Asking((FIRST,)), named(topology.same_subnet, serve_briefly)) as stage:
        stage.connect()
        assert stage.all_up(8.0), stage.story()
        stage.controller.order("drop")
        server = servers[0]
        assert isinstance(server, type(stage.controller.process))
        server.stop()
        machine = stage.topology.controller
        dnsmasq(machine, FIRST, record("10.0.0.101", ttl=3600))
        with stage.switch.control() as control:
            control.call("inband/set", "br0", "inactivity-probe=500ms")
        machine.sysctl(net__ipv4__conf__all__promote_secondaries=1)
        start = time.monotonic()
        machine.ip("addr del 10.0.0.100/24 dev eth0", "addr add 10.0.0.101/24 dev eth0")

        assert until(lambda: len(stage.controller.journal.entries("features_reply", since=start)) > 0, 25.0), (
            stage.story()
        )
        assert until(lambda: remotes(stage) == {"10.0.0.101"}, 5.0), remotes(stage)


def test_a_restart_without_a_dns_server_connects_to_what_was_known() -> None:
    servers: list[object] = []

    def serve_briefly(made: Topology) -> None:
        servers.append(serve(made))

    with scene(Asking((CONTROLLER,)), named(topology.same_subnet, serve_briefly)) as stage:
        stage.connect()
        assert stage.all_up(8.0), stage.story()
        switch, server = in_band(stage), servers[0]
        assert isinstance(server, type(stage.controller.process))
        server.stop()
        switch.kill9()
        start = time.monotonic()
        switch.restart()

        assert until(lambda: len(stage.controller.journal.entries("features_reply", since=start)) > 0, 15.0), (
            stage.story()
        )


def test_a_manager_with_a_name_is_protected_at_its_address() -> None:
    def lay(lab: Lab) -> Topology:
        made = topology.same_subnet(lab)
        dnsmasq(made.controller, CONTROLLER, record(CONTROLLER), record("10.0.0.150", name="admin.example.net"))
        return name_servers.by_name(made)

    with scene(Asking((CONTROLLER,)), lay) as stage:
        stage.connect()
        assert stage.all_up(8.0), stage.story()
        stage.switch.set_managers("tcp:admin.example.net:22")

        assert until(lambda: measure.has_mac(stage.switch.hidden(), "op", "10.0.0.150"), 3.0)
        stage.switch.set_managers()
        assert until(lambda: not measure.has_mac(stage.switch.hidden(), "o", "10.0.0.150"), 3.0)


def test_rules_for_dns_come_with_the_first_name_and_go_with_the_last() -> None:
    with scene(Asking((CONTROLLER,)), named(topology.same_subnet, serve)) as stage:
        assert not measure.has_letters(stage.switch.hidden(), "m")
        stage.connect()
        assert stage.all_up(8.0), stage.story()
        assert measure.has_letters(stage.switch.hidden(), "mn")
        stage.switch.set_controllers(f"tcp:{CONTROLLER}:6653")
        assert not measure.has_letters(stage.switch.hidden(), "m")
        assert not measure.has_letters(stage.switch.hidden(), "n")


def test_the_systems_dns_server_is_asked_when_none_is_configured() -> None:
    with scene(Asking(()), named(topology.same_subnet, name_servers.serve_here)) as stage:
        stage.connect()
        assert stage.all_up(8.0), stage.story()


def test_the_dns_server_of_a_lease_is_asked() -> None:
    def lay(lab: Lab) -> Topology:
        made = topology.same_subnet(lab)
        site = made.sites[0]
        leased = replace(site.bridges[0], address=topology.DHCP)
        dnsmasq(
            made.controller, CONTROLLER, record(CONTROLLER), "--dhcp-range=10.0.0.10,10.0.0.90,255.255.255.0,2m",
            "--interface=eth0", f"--dhcp-leasefile={lab.folder}/leases", "--dhcp-option=3", "--no-ping",
            "--dhcp-authoritative",
        )  # fmt: skip
        site.namespace.resolv_conf()
        return name_servers.by_name(replace(made, sites=(replace(site, bridges=(leased,)),)))

    with scene(Asking(()), lay) as stage:
        assert stage.all_up(10.0), stage.story()
        with stage.switch.control() as control:
            shown = json.loads(control.call("inband/show", "json"))

    assert [(each["address"], each["source"]) for each in shown["dns_servers"]] == [(CONTROLLER, "DHCP")]


def test_a_second_controller_by_name_does_not_disturb_the_first() -> None:
    with scene(Asking((CONTROLLER,)), named(topology.same_subnet, serve)) as stage:
        stage.connect()
        assert stage.all_up(8.0), stage.story()
        start = time.monotonic()
        other = LabController(stage.topology.controller, port=6654)
        stage.switch.set_controllers(f"tcp:{NAME}:6653", f"tcp:{NAME}:6654", "tcp:missing.example.net:6653")
        assert other.journal.wait_up(stage.dpids, 5.0)

        assert stage.silence(start, time.monotonic()) < 1.0
        assert stage.lost() == 0


def test_two_gateways_are_no_matter_for_a_name() -> None:
    def serve_far(made: Topology) -> None:
        dnsmasq(made.controller, special.REMOTE, record(special.REMOTE))

    with scene(Asking((special.REMOTE,)), named(special.two_gateways, serve_far)) as stage:
        stage.connect()
        assert stage.all_up(8.0), stage.story()


def test_show_and_trace_say_which_name_gave_which_address_and_why_others_did_not() -> None:
    def serve_some(made: Topology) -> None:
        dnsmasq(made.controller, CONTROLLER, record(CONTROLLER))

    with scene(Asking((CONTROLLER,)), named(topology.same_subnet, serve_some)) as stage:
        stage.connect()
        assert stage.all_up(8.0), stage.story()
        stage.switch.set_controllers(f"tcp:{NAME}:6653", "tcp:missing.example.net:6653")
        with stage.switch.control() as control:
            flow = f"in_port=LOCAL,tcp,nw_dst={CONTROLLER},tp_dst=6653"
            traced = control.call("inband/trace", "br0", flow)
            assert until(lambda: "no such name" in control.call("inband/show", "json"), 3.0)
            shown = json.loads(control.call("inband/show", "json"))

    assert f"{CONTROLLER}:6653 = {NAME} until " in traced
    there, missing = shown["bridges"][0]["controllers"]
    assert (there["address"], there["family"], there["advice"]) == (CONTROLLER, "IPv4", None)
    assert "check how missing.example.net is spelled" in missing["advice"]
    (address,) = next(name for name in shown["names"] if name["name"] == NAME)["addresses"]
    assert (address["address"], address["server"], address["in_use"]) == (CONTROLLER, CONTROLLER, True)
    assert shown["dns_servers"][0]["answers"] > 0
