"""The networks whose figures are compared: two hosts, and between them a switch or none, each with its flows.

Every switch is a whole one, as a user runs it. Its flows are one of these sets:

- "NORMAL": one flow that says NORMAL;
- "flows": 1,000 flows over 10 masks, two of which carry the hosts' traffic; what they leave over is NORMAL;
- "in-band": one NORMAL flow, in-band control on for 100 managers behind a gateway;
- "through ports": NORMAL that skips no port, of ours in the kernel alone;
- "metered", "select", "failover", "pop_vlan": NORMAL behind a meter whose rate is never reached, groups of two buckets,
  and frames of a VLAN that are taken out of it; of ours in the kernel and of the peer alone.

Killed switches keep their pins: ``ip netns exec`` gives each process a mount namespace of its own, in which the pins of
the eBPF datapath would die with it, as they would not on a real machine. So there is one for all starts of a switch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from bench import throughput
from bench.throughput import LEFT_IP, RIGHT_IP, Hosts
from lab import ovs
from lab.inband import InbandSwitch
from lab.net import ROOT, Lab, Namespace
from lab.process import Process
from lab.switch import Switch, SwitchMaker
from lab.topology import BridgePlan, Site

PREFIX = "ihs"
DIRECT, BRIDGE = "direct veth", "Linux bridge"
NORMAL, FLOWS, TABLES, IN_BAND = "NORMAL", "flows", "tables", "in-band"
METERED, SELECT, FAILOVER, POP_VLAN = "metered", "select", "failover", "pop_vlan"
THROUGH = "through ports"
TAGGED = 5
# Commands of ovs-ofctl; ports 1 and 2 are the left host's and the right one's.
_BACK = ("add-flow", "priority=1,in_port=2,actions=output:1")
_GROUP = ("add-flow", "priority=0,actions=group:1")
_ACTIONS: Mapping[str, tuple[tuple[str, str], ...]] = {
    METERED: (("add-meter", "meter=1,kbps,band=type=drop,rate=100000000"), ("add-flow", "actions=meter:1,NORMAL")),
    SELECT: (("add-group", "group_id=1,type=select,bucket=output:2,bucket=output:2"), _GROUP, _BACK),
    FAILOVER: (
        ("add-group", "group_id=1,type=ff,bucket=watch_port:2,output:2,bucket=watch_port:1,output:in_port"),
        *(_GROUP, _BACK),
    ),
    POP_VLAN: (
        ("add-flow", "priority=0,actions=NORMAL"),
        ("add-flow", f"priority=1,dl_vlan={TAGGED},actions=pop_vlan,NORMAL"),
    ),
}
REMOTES = 100


class Inband:
    """Makes one of ours: see :class:`lab.switch.SwitchMaker`."""

    offloads = True

    def __init__(self, name: str, datapath: str) -> None:
        self.name = name
        self._datapath = datapath

    def __call__(self, lab: Lab, site: Site) -> InbandSwitch:
        """Make one that outlives its mount namespace."""
        kept = Site(KeptNamespace(site.namespace), site.bridges)
        made = InbandSwitch(lab, kept)
        made.datapath = self._datapath
        return made


class KeptNamespace(Namespace):
    """A namespace together with one mount namespace, in which all its processes are started."""

    def __init__(self, network: Namespace) -> None:
        super().__init__(network.lab, network.short)
        self._keeper = network.start("sh", "-c", "echo here; exec sleep infinity", label="keeper")
        throughput.wait_until(lambda: "here" in self._keeper.tail())  # before that it is in the system's namespaces

    def start(self, *argv: str, label: str = "", env: Mapping[str, str] | None = None) -> Process:
        """As ``Namespace.start``."""
        enter = ["nsenter", f"--net=/run/netns/{self.name}", f"--mount=/proc/{self._keeper.pid}/ns/mnt"]
        return self.lab.start([*enter, f"--wd={ROOT}", *argv], f"{self.short}-{label or argv[0]}", env)


EBPF, USERSPACE = Inband("inband eBPF", "ebpf"), Inband("inband userspace", "userspace")
# Those that goals compare are next to each other: what disturbs one then disturbs the other.
MAKES: list[SwitchMaker] = [EBPF, *([ovs.OvsTso()] if ovs.is_installed() else []), USERSPACE]


@dataclass(frozen=True, slots=True)
class Network:
    """Two hosts with all servers started; ``switch`` is None for what needs no process."""

    hosts: Hosts
    switch: Switch | None
    is_of_actions: bool = False
    """Whether it is there for what actions cost: streams, frames and transactions are all that is measured."""
    vlan: int | None = None
    """In which VLAN frames are; what the hosts' own stacks send is in none, and not measured then."""


def label(make: SwitchMaker, flows: str) -> str:
    """A network's name in tables."""
    return f"{make.name}, {flows}"


def networks() -> dict[str, Callable[[Lab], Network]]:
    """Builders of all networks by name."""
    made: dict[str, Callable[[Lab], Network]] = {
        DIRECT: lambda lab: Network(throughput.direct(lab), None),
        BRIDGE: lambda lab: Network(throughput.bridge(lab), None),
    }
    for make in MAKES:
        for flows in (NORMAL, FLOWS, TABLES, IN_BAND):
            made[label(make, flows)] = partial(switched_network, make=make, flows=flows)
    made[label(EBPF, THROUGH)] = partial(switched_network, make=EBPF, flows=THROUGH)
    for flows in _ACTIONS:
        for make in MAKES:
            if make is not USERSPACE:
                made[label(make, flows)] = partial(switched_network, make=make, flows=flows)
    return made


def switched_network(lab: Lab, make: SwitchMaker, flows: str) -> Network:
    """Two hosts at a switch with its flows."""
    hosts, namespace = throughput.with_switch(lab)
    plan = BridgePlan("br0", ("p1", "p2"))
    if flows == IN_BAND:
        plan = BridgePlan("br0", ("p1", "p2"), "10.9.0.254/24", gateway=LEFT_IP)
    switch = make(lab, Site(namespace, (plan,)))
    switch.start(connect=False)
    if flows == FLOWS:
        table = lab.folder / "flows"
        table.write_text("\n".join(thousand()))
        switch.ofctl("add-flows", str(table))
    elif flows == TABLES:
        table = lab.folder / "flows"
        table.write_text("\n".join(four_tables()))
        switch.ofctl("add-flows", str(table))
    elif flows in _ACTIONS:
        for command in _ACTIONS[flows]:
            switch.ofctl(*command)
    else:
        switch.ofctl("add-flow", "priority=0,actions=NORMAL")
    if flows == IN_BAND:
        switch.set_managers(*(f"tcp:10.1.0.{number}:6640" for number in range(1, REMOTES + 1)))
    if flows == THROUGH and isinstance(switch, InbandSwitch):
        with switch.control() as control:
            control.call("inband/set", "br0", "peer-redirect=off")
    is_of_actions = flows in {*_ACTIONS, THROUGH} - {SELECT}  # of which each new flow asks anew
    return Network(hosts, switch, is_of_actions, TAGGED if flows == POP_VLAN else None)


def thousand() -> list[str]:
    """1,000 flows of 10 masks, 100 of each, as ovs-ofctl reads them; the one for the hosts is below most others."""
    made = ["priority=0,actions=NORMAL"]
    for number in range(99):
        made += [each.format(n=number, port=number + 1000, hex=f"{number:02x}") for each in _TEMPLATES]
    made += [
        f"priority=50,ip,nw_dst={RIGHT_IP},actions=output:2",
        f"priority=50,ip,nw_dst={LEFT_IP},actions=output:1",
    ]
    return made + [f"priority=50,ip,nw_dst=10.9.2.{number},actions=drop" for number in range(7)]


def four_tables() -> list[str]:
    """Ports get zones, zones have what is forbidden, destinations a queue, and NORMAL comes last: 403 flows."""
    made = [f"table=0,in_port={port},actions=write_metadata:{port},goto_table:1" for port in (1, 2)]
    made += ["table=0,priority=0,actions=drop", "table=1,priority=0,actions=goto_table:2"]
    made += [f"table=1,priority=9,metadata={n % 2 + 1},udp,tp_dst={n + 1000},actions=drop" for n in range(198)]
    made += ["table=2,priority=0,actions=goto_table:3", "table=3,priority=0,actions=NORMAL"]
    return made + [f"table=2,priority=9,ip,nw_dst=10.12.0.{n},actions=dec_ttl,output:2" for n in range(199)]


_TEMPLATES = (
    "priority=50,ip,nw_dst=10.9.1.{n},actions=drop",
    "priority=60,ip,nw_dst=10.10.{n}.0/24,actions=output:2",
    "priority=70,ip,nw_src=10.11.0.{n},actions=drop",
    "priority=80,tcp,tp_dst={port},actions=drop",
    "priority=90,tcp,nw_dst=10.12.0.{n},tp_dst={port},actions=output:2",
    "priority=100,udp,tp_dst={port},actions=drop",
    "priority=110,dl_dst=02:10:00:00:00:{hex},actions=output:2",
    "priority=120,in_port=1,dl_src=02:11:00:00:00:{hex},actions=drop",
    "priority=130,udp,nw_dst=10.13.0.{n},tp_dst={port},actions=output:2",
    "priority=140,in_port=1,ip,nw_dst=10.14.{n}.0/28,actions=drop",
)


def counters(network: Network) -> dict[str, int]:
    """Counters of a switch of ours by name; of others none."""
    if not isinstance(network.switch, InbandSwitch):
        return {}
    with network.switch.control() as control:
        lines = [line for line in control.call("coverage/show").splitlines() if line.startswith("br0")]
    parted = (line.removeprefix("br0").rpartition(" ") for line in lines)
    return {name.strip(): int(count) for name, _, count in parted}
