"""The verbs that change a running switch, each as a function from one configuration to the next.

The control socket registers one command per entry of CHANGES; the switch then goes from the old configuration to the
new one. Adding what is there and deleting what is not are refused, as ovs-vsctl does without ``--may-exist``: silence
there hides typing errors. Nothing here touches the running switch, and only ``adopt`` asks the kernel, for what there
is to adopt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from inband.errors import UsageError
from inband.flow.membership import MEMBERSHIP_WORDS
from inband.host import moving
from inband.host.dhcp_client import client_versions
from inband.runtime.config_keys import KEYS, PortWords, parse_port, parse_setting, with_values
from inband.runtime.config_load import load
from inband.runtime.dns_servers import parse_dns_server
from inband.stp.settings import PORT_WORDS
from inband.switch.config import BridgeConfig, SwitchConfig, check_interface_name, checked
from inband.switch.manager_targets import parse_manager
from inband.switch.targets import parse_target


@dataclass(frozen=True, slots=True)
class Change:
    """A verb: its arguments for people, how many it takes (None: any number), and what it makes of them.

    ``apply(config, arguments)`` returns the next configuration, checked, or raises UsageError.
    """

    usage: str
    min_args: int
    max_args: int | None
    apply: Callable[[SwitchConfig, Sequence[str]], SwitchConfig]


def with_change(config: SwitchConfig, verb: str, arguments: Sequence[str]) -> SwitchConfig:
    """The configuration after ``verb``: what the control socket and tests call. Raises UsageError."""
    change = CHANGES.get(verb)
    if change is None:
        raise UsageError(f"unknown verb {verb!r}: allowed are {', '.join(CHANGES)}")
    if not change.min_args <= len(arguments) <= (len(arguments) if change.max_args is None else change.max_args):
        raise UsageError(f"{verb}: wrong number of arguments: write {verb} {change.usage}")
    return checked(change.apply(config, arguments))


def _with_bridge(config: SwitchConfig, bridge: BridgeConfig) -> SwitchConfig:
    return replace(config, bridges=tuple(bridge if b.name == bridge.name else b for b in config.bridges))


def _add_bridge(config: SwitchConfig, arguments: Sequence[str]) -> SwitchConfig:
    name, *settings = arguments
    if any(bridge.name == name for bridge in config.bridges):
        raise UsageError(f"bridge {name} is already there: `inband show` shows it")
    bridge = with_values(BridgeConfig(check_interface_name(name)), dict(map(parse_setting, settings)))
    return replace(config, bridges=(*config.bridges, bridge))


def _del_bridge(config: SwitchConfig, arguments: Sequence[str]) -> SwitchConfig:
    gone = config.bridge(arguments[0])
    return replace(config, bridges=tuple(bridge for bridge in config.bridges if bridge is not gone))


def _add_port(config: SwitchConfig, arguments: Sequence[str]) -> SwitchConfig:
    bridge = config.bridge(arguments[0])
    port = parse_port(arguments[1])
    pins = bridge.port_numbers if port.number is None else (*bridge.port_numbers, (port.name, port.number))
    added = replace(bridge, ports=(*bridge.ports, port.name), port_numbers=pins)
    return _with_bridge(config, _with_words(added, port))


def _set_port(config: SwitchConfig, arguments: Sequence[str]) -> SwitchConfig:
    """Give a port what is said behind its name; what is not said is as usual: all VLANs, no settings of the tree."""
    bridge = config.bridge(arguments[0])
    port = parse_port(arguments[1])
    _check_port(bridge, port.name)
    if port.number is not None:
        raise UsageError(
            f"the number of port {port.name} cannot change while it is a port: take it out first (del-port)"
        )
    return _with_bridge(config, _with_words(bridge, port))


def _with_words(bridge: BridgeConfig, port: PortWords) -> BridgeConfig:
    """With what is said of a port, and nothing else of it."""
    vlans = tuple(each for each in bridge.port_vlans if each[0] != port.name)
    trees = tuple(each for each in bridge.port_trees if each[0] != port.name)
    return replace(
        bridge,
        port_vlans=vlans if port.vlans is None else (*vlans, (port.name, port.vlans)),
        port_trees=trees if port.tree is None else (*trees, (port.name, port.tree)),
    )


def _without_words(bridge: BridgeConfig, port: str) -> BridgeConfig:
    return _with_words(bridge, PortWords(port, None, None, None))


def _check_port(bridge: BridgeConfig, port: str) -> None:
    if port not in bridge.ports:
        there = ", ".join(bridge.ports) or "none"
        raise UsageError(f"bridge {bridge.name} has no port {port!r} (ports: {there})")


def _del_port(config: SwitchConfig, arguments: Sequence[str]) -> SwitchConfig:
    bridge = config.bridge(arguments[0])
    port = arguments[1]
    _check_port(bridge, port)
    ports = tuple(other for other in bridge.ports if other != port)
    pins = tuple(pin for pin in bridge.port_numbers if pin[0] != port)
    return _with_bridge(config, _without_words(replace(bridge, ports=ports, port_numbers=pins), port))


def _adopt(config: SwitchConfig, arguments: Sequence[str]) -> SwitchConfig:
    """Have an interface as port whose addresses and routes the bridge's own interface has from then on."""
    bridge, interface = config.bridge(arguments[0]), check_interface_name(arguments[1])
    if interface in bridge.ports:
        raise UsageError(f"{interface} is a port of bridge {bridge.name} already: take it out first (del-port)")
    if bridge.adopt is not None:
        raise UsageError(f"bridge {bridge.name} has adopted {bridge.adopt} already: release that first")
    had = moving.belongings_of(interface)
    clients = client_versions(interface)
    if 4 in clients:
        had = had.with_lease()
    if not (had.addresses or had.leased):
        raise UsageError(f"{interface} has no address to adopt: `inband add-port {bridge.name} {interface}` will do")
    ours = dict.fromkeys((*bridge.addresses, *had.addresses))
    versions = {address.version for address in had.leased if not address.ip.is_link_local}
    adopted = replace(
        bridge,
        ports=(*bridge.ports, interface),
        adopt=interface,
        mac=had.mac,
        addresses=tuple(ours),
        dhcp=bridge.dhcp or 4 in versions,
        dhcpv6=bridge.dhcpv6 or 6 in clients,
        gateway=bridge.gateway if had.leased else had.gateway or bridge.gateway,
    )
    return _with_bridge(config, adopted)


def _release(config: SwitchConfig, arguments: Sequence[str]) -> SwitchConfig:
    """Give an adopted interface back what was adopted, as it is now, and take it out of the bridge."""
    bridge, interface = config.bridge(arguments[0]), arguments[1]
    if bridge.adopt != interface:
        raise UsageError(f"bridge {bridge.name} has adopted {bridge.adopt or 'nothing'}, not {interface}")
    ports = tuple(port for port in bridge.ports if port != interface)
    plain = replace(bridge, ports=ports, adopt=None, mac=None, addresses=(), dhcp=False, dhcpv6=False, gateway=None)
    return _with_bridge(config, _without_words(plain, interface))


def _set_controller(config: SwitchConfig, arguments: Sequence[str]) -> SwitchConfig:
    bridge = config.bridge(arguments[0])
    return _with_bridge(config, replace(bridge, controllers=tuple(map(parse_target, arguments[1:]))))


def _del_controller(config: SwitchConfig, arguments: Sequence[str]) -> SwitchConfig:
    return _with_bridge(config, replace(config.bridge(arguments[0]), controllers=()))


def _set_manager(config: SwitchConfig, arguments: Sequence[str]) -> SwitchConfig:
    return replace(config, managers=tuple(dict.fromkeys(map(parse_manager, arguments))))


def _del_manager(config: SwitchConfig, _arguments: Sequence[str]) -> SwitchConfig:
    return replace(config, managers=())


def _set_dns_server(config: SwitchConfig, arguments: Sequence[str]) -> SwitchConfig:
    return replace(config, dns_servers=tuple(dict.fromkeys(map(parse_dns_server, arguments))))


def _del_dns_server(config: SwitchConfig, _arguments: Sequence[str]) -> SwitchConfig:
    return replace(config, dns_servers=())


def _set(config: SwitchConfig, arguments: Sequence[str]) -> SwitchConfig:
    bridge = config.bridge(arguments[0])
    return _with_bridge(config, with_values(bridge, dict(map(parse_setting, arguments[1:]))))


def _reload(config: SwitchConfig, _arguments: Sequence[str]) -> SwitchConfig:
    """Build from file and options again: what commands changed in between and the file does not say is undone."""
    if config.options.config_file is None:
        raise UsageError("this switch was started without --config: there is no file to read again")
    fresh = load(config.options)
    if fresh.run_dir != config.run_dir:
        raise UsageError(f"run-dir cannot change while the switch runs: leave it at {config.run_dir}, or restart")
    if fresh.state_dir != config.state_dir:
        raise UsageError("state-dir cannot change while the switch runs: leave it as it was, or restart")
    if fresh.watching != config.watching:
        raise UsageError("metrics, log-format and ovs-run-dir cannot change while the switch runs: restart")
    if fresh.ovsdb != config.ovsdb:
        raise UsageError("ovsdb cannot change while the switch runs: leave it as it was, or restart")
    for bridge in fresh.bridges:
        old = next((b for b in config.bridges if b.name == bridge.name), bridge)
        if old.datapath != bridge.datapath:
            raise UsageError(f"bridge {bridge.name}: {KEYS['datapath'].name} cannot change while it runs: restart")
    return fresh


_PORT_WORDS = "".join(f"[,{word}={what}]" for word, what in {**MEMBERSHIP_WORDS, **PORT_WORDS}.items())

CHANGES: Mapping[str, Change] = {
    "add-bridge": Change("BRIDGE [KEY=VALUE]...", 1, None, _add_bridge),
    "del-bridge": Change("BRIDGE", 1, 1, _del_bridge),
    "add-port": Change(f"BRIDGE INTERFACE[=NUMBER]{_PORT_WORDS}", 2, 2, _add_port),
    "set-port": Change(f"BRIDGE INTERFACE{_PORT_WORDS}", 2, 2, _set_port),
    "del-port": Change("BRIDGE INTERFACE", 2, 2, _del_port),
    "adopt": Change("BRIDGE INTERFACE", 2, 2, _adopt),
    "release": Change("BRIDGE INTERFACE", 2, 2, _release),
    "set-controller": Change("BRIDGE TARGET...", 2, None, _set_controller),
    "del-controller": Change("BRIDGE", 1, 1, _del_controller),
    "set-manager": Change("TARGET...", 1, None, _set_manager),
    "del-manager": Change("", 0, 0, _del_manager),
    "set-dns-server": Change("ADDRESS...", 1, None, _set_dns_server),
    "del-dns-server": Change("", 0, 0, _del_dns_server),
    "set": Change("BRIDGE KEY=VALUE...", 2, None, _set),
    "reload": Change("", 0, 0, _reload),
}
"""Every verb that changes the configuration."""
