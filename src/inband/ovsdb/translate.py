"""From the rows of the database to the configuration of this switch: a pure function.

Each row is judged by itself. What is wrong with one is said of it (``Wanted.problems``, which become the columns
``error`` and ``status``), and all other rows take effect. So the result always passes ``config.checked``.

Invariants: whatever the rows hold, nothing raises; the result does not depend on the order of rows. What this switch
does not have is refused in words where it would change which frames go where (VLANs of ports, bonds, tunnels), and
noted where it would not.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from inband.errors import UsageError
from inband.flow.membership import VlanMembership, VlanMode
from inband.flow.ports import HIGHEST, PortNo
from inband.ovsdb.controllers import ControllerRows
from inband.ovsdb.made import INTERNAL, PATCH, made_complaint, made_of
from inband.ovsdb.managers import managers_of
from inband.ovsdb.mirrors import mirror_of
from inband.ovsdb.qos import qos_of
from inband.ovsdb.rows import Row, Snapshot
from inband.ovsdb.trees import BRIDGE_KEYS, BRIDGE_KEYS_WITHOUT_EFFECT, rounded_priority, times_of, tree_settings_of
from inband.ovsdb.tunnels import TUNNELS
from inband.ovsdb.wanted import RowKey, Wanted, WantedController, WantedPort
from inband.runtime.config_keys import KEYS, SETTABLE, with_values
from inband.stp.settings import PortTreeSettings
from inband.switch.config import (
    BridgeConfig,
    DatapathKind,
    FailMode,
    MadePort,
    Protection,
    SwitchConfig,
    auto_complaints,
    check_interface_name,
    checked,
)
from inband.vocabulary.mirroring import MirrorConfig
from inband.vocabulary.openflow import OFP10, OFP13
from inband.vocabulary.queueing import PortQos

_EDGE = PortTreeSettings(is_edge=True)  # no switch is behind an interface of this machine

OWN_PREFIX = "inband-"
"""``other_config:inband-KEY=VALUE`` of a bridge is a setting of ours, as `inband set` has it."""

_PROTOCOLS = {"OpenFlow10": OFP10, "OpenFlow13": OFP13}
# "system" is the kernel's datapath in Open vSwitch, and ours in the kernel is the eBPF one. A kernel that has no such
# thing gets the other one, as AUTO means: a bridge without a datapath would be no better.
_DATAPATHS = {"": DatapathKind.AUTO, "system": DatapathKind.AUTO, "netdev": DatapathKind.USERSPACE}
DATAPATH_TYPES = ("netdev", "system")
INTERFACE_TYPES = (INTERNAL, PATCH, "system", *TUNNELS)

# From other_config to our keys (ovs-vswitchd.conf.db(5), Bridge).
_OTHER_CONFIG = {"datapath-id": "datapath-id", "hwaddr": "mac", "in-band-queue": "queue", **BRIDGE_KEYS}

_MAY_NOT_FIT: tuple[Mapping[str, Any], ...] = (
    {"protect": Protection.ALTERNATIVE},
    {"gateway": None},
    {"addresses": (), "gateway": None},
)
"""Settings that may be wrong for what else is set, and what they are then."""

FOR = f"{OWN_PREFIX}switch"
"""``other_config:inband-switch=NAME``: the bridge is that switch's, in a database that several follow."""


def translate(snapshot: Snapshot, base: Mapping[str, BridgeConfig] | None = None, name: str = "") -> Wanted:
    """What the rows ask of the switch of this name.

    ``base``: bridges of the file, by name, whose settings hold where rows say nothing.
    """
    return _Translation(snapshot, base or {}, name).wanted()


class _Translation:
    """One run; ``problems`` collects what is wrong."""

    def __init__(self, snapshot: Snapshot, base: Mapping[str, BridgeConfig], switch: str) -> None:
        self._snapshot = snapshot
        self._base = base
        self._root = snapshot.root or Row("")
        rows = snapshot.rows("Bridge", self._root.texts("bridges"))
        rows = [row for row in rows if row.map("other_config").get(FOR, switch) == switch]
        self._bridges = sorted(rows, key=lambda row: (row.text("name"), row.uuid))
        names = {row.text("name") for row in self._bridges}
        others = [bridge for name, bridge in base.items() if name not in names]
        self._names = names | {bridge.name for bridge in others}
        self._owners = {port: bridge.name for bridge in others for port in bridge.ports}
        self._patches = [interface for row in self._bridges for interface in self._patches_of(row)]
        self._ports: list[WantedPort] = []
        self._controllers: list[WantedController] = []
        self._mirrors: dict[tuple[str, str], str] = {}
        self.problems: dict[RowKey, str] = {}

    def wanted(self) -> Wanted:
        found: dict[str, tuple[BridgeConfig, str]] = {}
        for row in self._bridges:
            name = row.text("name")
            if name in found:
                self._blame("Bridge", row, f"another bridge is called {name}")
            elif self._is_a_name("Bridge", row, name):
                found[name] = self._bridge(name, row), row.uuid
        managers = managers_of(self._snapshot.rows("Manager", self._root.texts("manager_options")), self._blame)
        return Wanted(
            tuple(bridge for bridge, _ in found.values()),
            managers,
            {name: uuid for name, (_, uuid) in found.items()},
            tuple(self._ports),
            tuple(self._controllers),
            self.problems,
            self._mirrors,
        )

    def _blame(self, table: str, row: Row, words: str) -> None:
        """Say what is wrong with a row, after what was said of it before."""
        before = self.problems.get((table, row.uuid))
        self.problems[table, row.uuid] = words if before is None else f"{before}; {words}"

    def _is_a_name(self, table: str, row: Row, name: str) -> bool:
        try:
            check_interface_name(name)
        except UsageError as error:
            self._blame(table, row, str(error))
            return False
        return True

    # --- bridges ------------------------------------------------------------------------------------------------

    def _bridge(self, name: str, row: Row) -> BridgeConfig:
        base = self._base.get(name, BridgeConfig(name))
        bridge = self._with_other_config(base, row)
        is_secure = row.text("fail_mode") == FailMode.SECURE
        bridge = replace(bridge, fail_mode=FailMode.SECURE if is_secure else FailMode.STANDALONE, adopt=None)
        bridge = replace(bridge, datapath=self._datapath(row), openflow_versions=self._versions(row))
        bridge = replace(bridge, **self._tls(base), **self._flow_limit(row))
        names, numbers, vlans = self._ports_of(name, row)
        there = frozenset(names)
        made = self._made_of(row, there)
        bridge = replace(
            bridge, port_trees=self._trees_of(row, there), port_qos=self._qos_of(row, there), made_ports=made
        )
        bridge = replace(bridge, mirrors=self._mirrors_of(name, row, there))
        if bridge.mac is None:
            bridge = self._with_mac(bridge)
        rows = self._snapshot.rows("Controller", row.texts("controller"))
        no_auto = next(auto_complaints(bridge), None)
        controllers = ControllerRows(name, rows, self._blame, has_tls=bridge.ca_cert is not None, no_auto=no_auto)
        self._controllers += controllers.wanted
        bridge = replace(bridge, ports=names, port_numbers=numbers, port_vlans=vlans, **controllers.settings())
        bridge = self._with_control_vlan(bridge)
        self._note_what_is_missing(row)
        return self._fitting(bridge, row)

    def _fitting(self, bridge: BridgeConfig, row: Row) -> BridgeConfig:
        """The bridge, without settings that do not fit together: what else could not fit was judged before."""
        for usual in _MAY_NOT_FIT:
            problem, without = _complaint(bridge), replace(bridge, **usual)
            if problem is not None and _complaint(without) != problem:
                self._blame("Bridge", row, problem)
                bridge = without
        return bridge

    def _with_other_config(self, bridge: BridgeConfig, row: Row) -> BridgeConfig:
        given = row.map("other_config")
        # RSTP speaks STP with whom speaks nothing else, so it is what either column asks for.
        has_tree = row.flag("rstp_enable") or row.flag("stp_enable")
        bridge = replace(bridge, in_band=given.get("disable-in-band") != "true", rstp=has_tree)
        bridge = replace(bridge, rstp_times_s=times_of(row, partial(self._blame, "Bridge", row)))
        for word in BRIDGE_KEYS_WITHOUT_EFFECT:
            if word in given:
                self._blame("Bridge", row, f"other_config:{word}: not supported, and without effect")
        own = {
            word.removeprefix(OWN_PREFIX): value
            for word, value in sorted(given.items())
            if word.startswith(OWN_PREFIX) and word != FOR
        }
        own.update({key: given[word] for word, key in _OTHER_CONFIG.items() if given.get(word)})
        if priority := given.get("rstp-priority") or given.get("stp-priority"):
            own["rstp-priority"] = rounded_priority(priority)
        for key, value in own.items():
            try:
                bridge = with_values(bridge, _setting(key, value))
            except UsageError as error:
                self._blame("Bridge", row, f"other_config: {error}")
        return bridge

    def _with_mac(self, bridge: BridgeConfig) -> BridgeConfig:
        """With the ``mac`` of its own interface's row, which ``other_config:hwaddr`` overrides."""
        own = next((each for each in self._ports if each.bridge == bridge.name and each.is_local), None)
        row = None if own is None else self._snapshot.row("Interface", own.interface)
        if row is None or not row.text("mac"):
            return bridge
        try:
            return with_values(bridge, _setting("mac", row.text("mac")))
        except UsageError as error:
            self._blame("Interface", row, str(error))
            return bridge

    def _with_control_vlan(self, bridge: BridgeConfig) -> BridgeConfig:
        """With the ``tag`` of its own interface's port as the VLAN of control."""
        own = next((each for each in self._ports if each.bridge == bridge.name and each.is_local), None)
        row = None if own is None else self._snapshot.row("Port", own.port)
        if row is None:
            return bridge
        try:
            member = membership_of(row)
            if member is None:
                return bridge
            if member.mode is not VlanMode.ACCESS:
                raise UsageError("a bridge's own interface is untagged or in one VLAN: leave trunks and vlan_mode away")
            return with_values(bridge, _setting("control-vlan", str(member.tag)))
        except UsageError as error:
            self._blame("Port", row, str(error))
            return bridge

    def _datapath(self, row: Row) -> DatapathKind:
        kind = row.text("datapath_type")
        if kind not in _DATAPATHS:
            self._blame("Bridge", row, f"unknown datapath_type {kind!r}: it is taken for system")
        return _DATAPATHS.get(kind, DatapathKind.AUTO)

    def _versions(self, row: Row) -> tuple[int, ...]:
        protocols = row.texts("protocols")
        versions = tuple(sorted(_PROTOCOLS[word] for word in protocols if word in _PROTOCOLS))
        if protocols and not versions:
            self._blame("Bridge", row, f"protocols: this switch speaks {' and '.join(_PROTOCOLS)}, so it offers these")
        return versions or tuple(sorted(_PROTOCOLS.values()))

    def _tls(self, base: BridgeConfig) -> dict[str, Any]:
        """Files for tls: targets: the database's, else the file's."""
        row = next(iter(self._snapshot.rows("SSL", self._root.texts("ssl"))), None)
        if row is None:
            return {}
        if row.flag("bootstrap_ca_cert"):
            self._blame("SSL", row, "bootstrap_ca_cert is not supported: put the CA's certificate there yourself")
        keys = {"private_key": "private-key", "certificate": "certificate", "ca_cert": "ca-cert"}
        values: dict[str, Any] = {}
        for column, key in keys.items():
            try:
                values[column] = KEYS[key].read([row.text(column)])
            except UsageError as error:
                self._blame("SSL", row, str(error))
        return values if len(values) == len(keys) else {column: getattr(base, column) for column in keys}

    def _flow_limit(self, row: Row) -> dict[str, Any]:
        """Ours is one limit for all tables: the lowest of those given."""
        tables = self._snapshot.rows("Flow_Table", tuple(row.map("flow_tables").values()))
        for table in tables:
            if table.text("overflow_policy") == "evict":
                self._blame("Bridge", row, "flow_tables: flows are not evicted here, new ones are refused")
        limits = [limit for limit in (table.number("flow_limit") for table in tables) if limit is not None]
        return {"flow_limit": max(0, min(limits))} if limits else {}

    def _note_what_is_missing(self, row: Row) -> None:
        if row.flag("mcast_snooping_enable"):
            self._blame("Bridge", row, "mcast_snooping_enable is not supported: this bridge does not do it")
        for column in ("netflow", "sflow", "ipfix"):
            if row.texts(column):
                self._blame("Bridge", row, f"{column}: not supported, and without effect")

    # --- ports --------------------------------------------------------------------------------------------------

    def _ports_of(
        self, bridge: str, row: Row
    ) -> tuple[tuple[str, ...], tuple[tuple[str, PortNo], ...], tuple[tuple[str, VlanMembership], ...]]:
        """Names of the ports that can be had, the numbers that are asked for, and their VLANs."""
        names: list[str] = []
        vlans: list[tuple[str, VlanMembership]] = []
        numbers: dict[PortNo, str] = {}
        ports = self._snapshot.rows("Port", row.texts("ports"))
        for port in sorted(ports, key=lambda each: (each.text("name"), each.uuid)):
            for interface in self._interfaces_of(bridge, row, port):
                name = interface.text("name")
                mtu = None if name == bridge or interface.text("type") == INTERNAL else _mtu(interface)
                self._ports.append(WantedPort(bridge, port.uuid, interface.uuid, name, mtu))
                complaint = self._complaint(bridge, port, interface)
                if complaint:
                    self._blame("Interface", interface, complaint)
                    self._blame("Port", port, complaint)
                elif name != bridge:
                    names.append(name)
                    self._number(interface, numbers)
                    member = membership_of(port)
                    vlans += [] if member is None else [(name, member)]
                self._note_what_a_port_lacks(bridge, port, interface)
        return tuple(names), tuple((name, number) for number, name in numbers.items()), tuple(vlans)

    def _trees_of(self, row: Row, names: Container[str]) -> tuple[tuple[str, PortTreeSettings], ...]:
        """What is said of ports that can be had to the spanning tree."""
        found: list[tuple[str, PortTreeSettings]] = []
        for name, port, interface, blame in self._rows_of(row, names):
            usual = _EDGE if interface.text("type") == INTERNAL else None
            settings = tree_settings_of(port, blame) or usual
            found += [] if settings is None else [(name, settings)]
        return tuple(found)

    def _qos_of(self, row: Row, names: Container[str]) -> tuple[tuple[str, PortQos], ...]:
        """What shapes ports that can be had."""
        found: list[tuple[str, PortQos]] = []
        for name, port, interface, blame in self._rows_of(row, names):
            if port.texts("qos") and interface.text("type") == INTERNAL:
                blame("qos: an interface of this machine has no queues here: shape the other ports")
                continue
            qos = qos_of(self._snapshot, port, blame)
            found += [] if qos is None else [(name, qos)]
        return tuple(found)

    def _mirrors_of(self, bridge: str, row: Row, names: Container[str]) -> tuple[MirrorConfig, ...]:
        """The mirrors that can be had, in the order of their names."""
        ports = {port.uuid: port.text("name") for port in self._snapshot.rows("Port", row.texts("ports"))}
        found: dict[str, MirrorConfig] = {}
        for mirror in self._snapshot.rows("Mirror", row.texts("mirrors")):
            config = mirror_of(mirror, ports, names, partial(self._blame, "Bridge", row))
            if config is not None:
                found[config.name] = config
                self._mirrors[bridge, config.name] = mirror.uuid
        return tuple(found[name] for name in sorted(found))

    def _made_of(self, row: Row, names: Container[str]) -> tuple[tuple[str, MadePort], ...]:
        """The ports that can be had whose interface the switch makes."""
        found = (
            (name, made_of(row, interface, self._patches, partial(self._blame, "Interface", interface)))
            for name, _, interface, _ in self._rows_of(row, names)
        )
        return tuple((name, made) for name, made in found if made is not None)

    def _rows_of(self, row: Row, names: Container[str]) -> list[tuple[str, Row, Row, Callable[[str], None]]]:
        """The ports that can be had, by name: rows of Port and Interface, and who hears what is wrong with the port."""
        found = [
            (interface.text("name"), port, interface, partial(self._blame, "Port", port))
            for port in self._snapshot.rows("Port", row.texts("ports"))
            for interface in self._snapshot.rows("Interface", port.texts("interfaces"))
            if interface.text("name") in names
        ]
        return sorted(found, key=lambda each: each[0])

    def _patches_of(self, row: Row) -> list[Row]:
        """The interfaces of a bridge that are patches."""
        ports = self._snapshot.rows("Port", row.texts("ports"))
        interfaces = (each for port in ports for each in self._snapshot.rows("Interface", port.texts("interfaces")))
        return [interface for interface in interfaces if interface.text("type") == PATCH]

    def _interfaces_of(self, bridge: str, row: Row, port: Row) -> Iterator[Row]:
        """The interfaces of a port that no other bridge has."""
        for interface in self._snapshot.rows("Interface", port.texts("interfaces")):
            name = interface.text("name")
            if name in self._owners:
                self._blame("Bridge", row, f"interface {name} is in bridge {self._owners[name]}, and stays there")
            else:
                self._owners[name] = bridge
                yield interface

    def _complaint(self, bridge: str, port: Row, interface: Row) -> str:
        """Why an interface cannot be a port here; empty when it can."""
        name, kind = interface.text("name"), interface.text("type")
        try:
            check_interface_name(name)
        except UsageError as error:
            return str(error)
        if name == bridge:
            return ""
        if name in self._names:
            return f"{name} is the interface of a bridge itself: use a veth pair between bridges"
        if kind not in ("", *INTERFACE_TYPES):
            hint = "make it with `ip link` and add it without a type"
            return f"could not open network device {name}: type {kind} is not supported here: {hint}"
        if len(port.texts("interfaces")) > 1:
            return "bonds are not supported: make a bond of the kernel (ip link add type bond) and add that"
        return made_complaint(interface) or _vlan_complaint(port)

    def _note_what_a_port_lacks(self, bridge: str, port: Row, interface: Row) -> None:
        if interface.text("name") == bridge and interface.number("mtu_request") is not None:
            self._blame("Port", port, "mtu_request: a bridge's own interface has the lowest MTU of its ports")
        if interface.text("name") == bridge and port.texts("qos"):
            self._blame("Port", port, "qos: a bridge's own interface has no queues here: shape the ports")
        for column in ("ingress_policing_rate", "ingress_policing_kpkts_rate"):
            if interface.number(column):
                self._blame("Port", port, f"{column}: not supported, and without effect: use a meter")

    def _number(self, interface: Row, numbers: dict[PortNo, str]) -> None:
        wanted = interface.number("ofport_request")
        if wanted is None:
            return
        if not 0 < wanted <= HIGHEST:
            self._blame("Interface", interface, f"ofport_request {wanted}: numbers are 1 to {int(HIGHEST)}")
        elif wanted in numbers:
            self._blame("Interface", interface, f"ofport_request {wanted}: {numbers[PortNo(wanted)]} has that number")
        else:
            numbers[PortNo(wanted)] = interface.text("name")


def _mtu(interface: Row) -> int | None:
    """What the kernel can be asked for; it says itself what an interface cannot have."""
    mtu = interface.number("mtu_request")
    return mtu if mtu is not None and 0 < mtu < 1 << 31 else None


def membership_of(port: Row) -> VlanMembership | None:
    """In which VLANs a port is; None: in all, as they are. Raises UsageError (ovs-vswitchd.conf.db(5), Port table).

    What means nothing in a port's mode is left out: trunks on an access port, and a trunk's tag. Without a tag an
    access or native port has VLAN 0.
    """
    tag, trunks, mode = port.number("tag"), frozenset(port.numbers("trunks")), port.text("vlan_mode")
    if tag is None and not trunks and not mode:
        return None
    if mode not in (*VlanMode, ""):
        raise UsageError(f"vlan_mode {mode} is not supported: {', '.join(VlanMode)}")
    meant = VlanMode(mode) if mode else VlanMode.TRUNK if tag is None else VlanMode.ACCESS
    if meant is VlanMode.TRUNK:
        return VlanMembership(meant, None, trunks)
    return VlanMembership(meant, tag or 0, frozenset() if meant is VlanMode.ACCESS else trunks)


def _vlan_complaint(port: Row) -> str:
    """Why a port cannot be had with its VLANs: ignoring them would join what they keep apart."""
    try:
        membership_of(port)
    except UsageError as error:
        return str(error)
    return ""


def _complaint(bridge: BridgeConfig) -> str | None:
    """What of a bridge does not fit together."""
    try:
        checked(SwitchConfig((bridge,)))
    except UsageError as error:
        return str(error)
    return None


def _setting(key: str, value: str) -> Mapping[str, object]:
    """A setting as `inband set` reads it; raises UsageError."""
    if key not in SETTABLE:
        raise UsageError(f"{OWN_PREFIX}{key}: unknown key: allowed are {', '.join(SETTABLE)}")
    found = KEYS[key]
    return {found.field: found.read(value.split(",") if found.many else [value])}
