"""The configuration of one switch process, as values, and what must hold between them.

A running switch is always described by one :class:`SwitchConfig`: the file and the options build one
(``config_load``), a command builds the next one from it (``changes``), and the switch goes from the one it has to the
one it is given. So "a refused file changes nothing" needs no undo: the refusal comes before there is a new value.

Invariant: every SwitchConfig that leaves :func:`checked` can be acted upon as far as configuration can tell;
what only the kernel knows (missing interfaces, privileges) is the switch's to find out. How the values are written
is in ``config_keys``. Nothing here reads a file or touches the system.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Interface, IPv6Interface, ip_address
from pathlib import Path

from inband.errors import UsageError
from inband.flow.membership import VlanMembership
from inband.flow.ports import HIGHEST, PortNo
from inband.stp.settings import PortTreeSettings, TreeSettings
from inband.switch.manager_targets import ManagerTarget
from inband.switch.targets import Target
from inband.vocabulary.addresses import IpAddress, Mac
from inband.vocabulary.mirroring import MirrorConfig
from inband.vocabulary.openflow import VERSIONS
from inband.vocabulary.queueing import PortQos
from inband.vocabulary.tunnels import Tunnel

IpInterface = IPv4Interface | IPv6Interface
"""An address with the length of its network's prefix, as an interface has it."""

DEFAULT_BRIDGE = "br0"
FLOW_LIMIT = 1_000_000
"""Visible flows per table: what Open vSwitch reports as max_entries."""
MAX_NETWORK_KEYS = 2
"""The key that signs, and one that is accepted while a network goes from one to the other."""
DEFAULT_RUN_DIR = Path("/run/inband")


class Protection(StrEnum):
    """How channels bear failures: by the next best way when one has failed, or by all ways at once."""

    ALTERNATIVE = "alternative"
    DUPLICATE = "duplicate"


class FailMode(StrEnum):
    """What happens to data traffic while no controller is connected (OpenFlow 1.3.5, 6.4)."""

    SECURE = "secure"
    STANDALONE = "standalone"


@dataclass(frozen=True, slots=True)
class InternalPort:
    """A port whose interface the switch makes for this machine, as a bridge's own is. ``mtu`` is in bytes.

    None: an address of its own choice, and the lowest MTU of the bridge's ports when it is made.
    """

    mac: Mac | None = None
    mtu: int | None = None

    def __str__(self) -> str:
        """As ``dpif/show`` says it."""
        return "internal"


@dataclass(frozen=True, slots=True)
class PatchPort:
    """One end of a cable that the switch makes between two ports; None: the other one is not there yet."""

    peer: str | None

    def __str__(self) -> str:
        """As ``dpif/show`` says it."""
        return "patch" if self.peer is None else f"patch: peer={self.peer}"


MadePort = InternalPort | PatchPort | Tunnel
"""A port whose interface the switch makes and removes."""


class DatapathKind(StrEnum):
    """Which datapath moves the packets; AUTO takes the best that works."""

    AUTO = "auto"
    EBPF = "ebpf"
    USERSPACE = "userspace"


@dataclass(frozen=True, slots=True)
class BridgeConfig:
    """One bridge.

    ``port_numbers`` are the numbers that are pinned, with the names of their ports; the switch chooses the others.
    ``port_vlans`` are the VLANs of ports that are members of some, by name; the others carry all.
    ``rstp`` says whether a spanning tree runs, ``port_trees`` what is said of ports to it, by name; ``rstp_times_s``
    are its max age and forward delay, which only a front end sets.
    ``made_ports`` are those whose interface the switch makes, by name; only a front end sets it.
    ``port_qos`` says what shapes ports, by name; only a front end sets it, and `tc` is for the others.
    ``mirrors`` say which ports get copies of what; only a front end sets it.
    ``adopt`` is the port whose addresses and routes the bridge's own interface has.
    ``addresses``, ``dhcp`` and ``dhcpv6`` say what the bridge's own interface gets; none: the system sets it. ``queue``
    is the queue of control traffic, ``control_vlan`` its VLAN (none: untagged). ``inactivity_probe_s`` 0 means no
    probes. ``flow_limit`` counts visible flows per table. ``peer_redirect``: known unicast may skip a port
    (``datapath.ebpf.peer``). ``neighbours``: speak to those on each port (``fabric``); ``network_keys``
    are the files with the network's key, the first one signs; ``protect`` says how its neighbours' ways are used
    (``pipeline.duplicates``). ``openflow_versions`` are version bytes, ascending. The
    last three files are for tls: targets.
    """

    name: str
    ports: tuple[str, ...] = ()
    port_numbers: tuple[tuple[str, PortNo], ...] = ()
    port_vlans: tuple[tuple[str, VlanMembership], ...] = ()
    port_trees: tuple[tuple[str, PortTreeSettings], ...] = ()
    port_qos: tuple[tuple[str, PortQos], ...] = ()
    made_ports: tuple[tuple[str, MadePort], ...] = ()
    mirrors: tuple[MirrorConfig, ...] = ()
    adopt: str | None = None
    controllers: tuple[Target, ...] = ()
    fail_mode: FailMode = FailMode.STANDALONE
    datapath: DatapathKind = DatapathKind.AUTO
    addresses: tuple[IpInterface, ...] = ()
    dhcp: bool = False
    dhcpv6: bool = False
    gateway: IpAddress | None = None
    queue: int | None = None
    control_vlan: int | None = None
    in_band: bool = True
    rstp: bool = False
    rstp_priority: int = TreeSettings().priority
    rstp_times_s: tuple[int, int] = (TreeSettings().max_age_s, TreeSettings().forward_delay_s)
    datapath_id: int | None = None
    mac: Mac | None = None
    inactivity_probe_s: float = 5.0  # Open vSwitch's default, which controllers' own timers are chosen for
    max_backoff_s: float = 8.0  # likewise
    flow_limit: int = FLOW_LIMIT
    peer_redirect: bool = True
    neighbours: bool = True
    network_keys: tuple[Path, ...] = ()
    protect: Protection = Protection.ALTERNATIVE
    openflow_versions: tuple[int, ...] = VERSIONS
    private_key: Path | None = None
    certificate: Path | None = None
    ca_cert: Path | None = None

    @property
    def outside_ports(self) -> tuple[str, ...]:
        """The ports that lead out of this machine: whose MAC addresses and MTUs the bridge's own follow."""
        made = dict(self.made_ports)
        return tuple(port for port in self.ports if port not in made)

    @property
    def taken_ports(self) -> tuple[str, ...]:
        """The ports of whose interfaces this machine sees no frame."""
        internal = {name for name, made in self.made_ports if isinstance(made, InternalPort)}
        return tuple(port for port in self.ports if port not in internal)


class LogFormat(StrEnum):
    """How lines of the log are written: for people, or each a JSON document."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Watching:
    """How others watch the process. None of it changes while it runs.

    ``metrics``: (host, port) at which Prometheus asks; ``ovs_run_dir``: where Open vSwitch's tools look for switches.
    """

    metrics: tuple[str, int] | None = None
    log_format: LogFormat = LogFormat.TEXT
    ovs_run_dir: Path | None = None


def parse_place(text: str) -> tuple[str, int]:
    """HOST:PORT, with an IPv6 address in brackets; raises UsageError."""
    host, colon, port = text.rpartition(":")
    try:
        address = ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        address = None
    if address is None or not colon or not port.isascii() or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise UsageError(f"metrics: {text!r} is not ADDRESS:PORT: write 127.0.0.1:9475, or [::1]:9475")
    return str(address), int(port)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the command line of ``inband run`` said, kept so that ``reload`` can build the configuration again.

    ``settings`` holds (key, texts) pairs, the keys being those of ``config_keys``.
    """

    config_file: Path | None = None
    run_dir: Path | None = None
    state_dir: Path | None = None
    pidfile: Path | None = None
    is_forced: bool = False
    bridge: str | None = None
    managers: tuple[str, ...] = ()
    dns_servers: tuple[str, ...] = ()
    metrics: str | None = None
    log_format: LogFormat | None = None
    ovs_run_dir: Path | None = None
    ovsdb: str | None = None
    settings: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class SwitchConfig:
    """One switch process: its bridges, the managers that every bridge protects, and its run directory.

    ``state_dir`` is what the configuration says of it; None: the usual one (``runtime.state_dir``).
    ``dns_servers`` are asked for the names of controllers and managers; none: those that the system has.
    ``ovsdb`` is the database that is followed, as ovs-vsctl's ``--db`` has it.
    """

    bridges: tuple[BridgeConfig, ...] = ()
    managers: tuple[ManagerTarget, ...] = ()
    dns_servers: tuple[IpAddress, ...] = ()
    run_dir: Path = DEFAULT_RUN_DIR
    state_dir: Path | None = None
    watching: Watching = field(default_factory=Watching)
    ovsdb: str | None = None
    options: RunOptions = field(default_factory=RunOptions)

    def bridge(self, name: str) -> BridgeConfig:
        """The bridge of this name; raises UsageError naming those there are."""
        for bridge in self.bridges:
            if bridge.name == name:
                return bridge
        there = ", ".join(bridge.name for bridge in self.bridges) or "none"
        raise UsageError(f"there is no bridge {name!r} here (bridges: {there}): see `inband show`")


def checked(config: SwitchConfig) -> SwitchConfig:
    """Return ``config`` when its parts fit together; raises UsageError saying which do not and what would."""
    for complaint in _complaints(config):
        raise UsageError(complaint)
    return config


def warnings_of(config: SwitchConfig) -> Iterator[str]:
    """What is allowed and hardly meant, in words."""
    yield from filter(None, map(_closed_to_itself, config.bridges))
    if not config.bridges:
        yield "no bridge is configured: this switch does nothing until there is one (`inband add-bridge`)"
    for bridge in config.bridges:
        if not bridge.ports:
            yield f"bridge {bridge.name} has no port: nothing can reach it (`inband add-port {bridge.name} INTERFACE`)"
        if bridge.network_keys and not bridge.neighbours:
            yield f"bridge {bridge.name} has a network-key, and neighbours are off: it is for nothing"
    names = [target.name for target in config.managers]
    names += [target.name for bridge in config.bridges for target in bridge.controllers]
    for name in dict.fromkeys(name for name in names if name and "." not in name):
        yield f"{name!r} has no dot: /etc/hosts and search domains are not looked at, so give the whole name"


def _closed_to_itself(bridge: BridgeConfig) -> str | None:
    """Why no data reaches the bridge's own interface: all ports are members of other VLANs than its own."""
    vlans, own = dict(bridge.port_vlans), bridge.control_vlan or 0
    if not bridge.ports or any(port not in vlans or vlans[port].carries(own) for port in bridge.ports):
        return None
    where = "untagged" if bridge.control_vlan is None else f"in VLAN {own}"
    return f"bridge {bridge.name}: its own interface is {where}, and no port carries that: set control-vlan"


def check_interface_name(name: str) -> str:
    """Return a name that the kernel would take for an interface; raises UsageError (net/core/dev.c, dev_valid_name)."""
    printable = name.isascii() and name.isprintable() and not set(name) & set(" /:")
    if not printable or not 0 < len(name) <= 15 or name in (".", ".."):
        raise UsageError(
            f"{name!r} cannot be the name of an interface: 1 to 15 letters, digits or signs but no space, / or :"
        )
    return name


def _complaints(config: SwitchConfig) -> Iterator[str]:
    names = Counter(bridge.name for bridge in config.bridges)
    yield from (f"bridge {name} is configured twice: give each bridge one name" for name, n in names.items() if n > 1)
    yield from _port_complaints(config)
    for bridge in config.bridges:
        for complaint in _bridge_complaints(bridge):
            yield f"bridge {bridge.name}: {complaint}"


def _port_complaints(config: SwitchConfig) -> Iterator[str]:
    owner: dict[str, str] = {}
    names = {bridge.name for bridge in config.bridges}
    for bridge in config.bridges:
        for port in bridge.ports:
            if port in names:
                yield f"bridge {bridge.name}: port {port} is the interface of a bridge itself: use a veth pair between"
            if port in owner:
                where = "twice" if owner[port] == bridge.name else f"in bridge {owner[port]} as well"
                yield f"bridge {bridge.name}: port {port} is listed {where}: an interface belongs to one bridge"
            owner[port] = bridge.name


def _bridge_complaints(bridge: BridgeConfig) -> Iterator[str]:
    pins = Counter(number for _, number in bridge.port_numbers)
    for name, number in bridge.port_numbers:
        if not 0 < number <= HIGHEST:
            yield f"port {name}={int(number)}: numbers are 1 to {int(HIGHEST)}"
        elif pins[number] > 1:
            yield f"port {name}={number}: another port has this number: give each its own"
    yield from _said_twice("VLANs", (name for name, _ in bridge.port_vlans), bridge)
    yield from _said_twice("settings of the spanning tree", (name for name, _ in bridge.port_trees), bridge)
    if bridge.adopt is not None and bridge.adopt not in bridge.ports:
        yield f"adopt: {bridge.adopt} is not among its ports: add it to port"
    if len(bridge.network_keys) > MAX_NETWORK_KEYS:
        yield f"network-key names {len(bridge.network_keys)} files: at most two, the one that signs first"
    if any(target.is_auto for target in bridge.controllers):
        yield from auto_complaints(bridge)
    if bridge.protect is Protection.DUPLICATE and not (bridge.network_keys and bridge.neighbours and bridge.in_band):
        yield (
            "protect=duplicate sends by all ways between neighbours of the network's key: it needs a network-key, with "
            "neighbours and in-band on"
        )
    if not bridge.openflow_versions:
        yield "openflow-version: the list is empty: allowed are 1.0 and 1.3"
    addresses = [(target.host, target.port, target.path) for target in bridge.controllers]
    for target, place in zip(bridge.controllers, addresses, strict=True):
        if addresses.count(place) > 1:
            yield f"controller {target} is listed twice"
        if target.uses_tls and None in (bridge.private_key, bridge.certificate, bridge.ca_cert):
            yield f"controller {target} needs private-key, certificate and ca-cert: set all three"
    gateway = bridge.gateway
    reachable = [a.network for a in bridge.addresses if gateway is not None and a.version == gateway.version]
    if gateway is not None and reachable and not gateway.is_link_local:
        if not any(gateway in network for network in reachable):
            yield f"gateway {gateway} is in none of the bridge's networks ({', '.join(map(str, reachable))})"
        if any(gateway == address.ip for address in bridge.addresses):
            yield f"gateway {gateway} is the bridge's own address: give the router's"


def auto_complaints(bridge: BridgeConfig) -> Iterator[str]:
    """What keeps a bridge from taking the controllers of its neighbours."""
    why = "it takes the controllers that neighbours of the network's key use"
    if not bridge.network_keys:
        yield f"controller auto needs a network-key: {why}, and any host could name one without: set network-key"
    if not bridge.neighbours:
        yield f"controller auto needs neighbours: {why}: set neighbours=on"
    if not bridge.in_band:
        yield f"controller auto needs in-band control: {why}, which are reached so: set in-band=on"


def _said_twice(what: str, names: Iterable[str], bridge: BridgeConfig) -> Iterator[str]:
    """What is wrong with what is said of ports: each may have it once, and must be there."""
    for name, count in Counter(names).items():
        if name not in bridge.ports:
            yield f"{what} of {name}: it is not among its ports: add it to port"
        elif count > 1:
            yield f"{what} of port {name} are given twice"
