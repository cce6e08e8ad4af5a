"""The verbs that change a running switch, each as a pure function from one configuration to the next.

The control socket registers one command per entry of CHANGES; the switch then goes from the old configuration to the
new one. Adding what is there and deleting what is not are refused, as ovs-vsctl does without ``--may-exist``: silence
there hides typing errors. Nothing here touches the running switch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from inband.errors import UsageError
from inband.runtime.config_keys import KEYS, parse_port, parse_setting, with_values
from inband.runtime.config_load import load
from inband.runtime.dns_servers import parse_dns_server
from inband.switch.config import BridgeConfig, SwitchConfig, check_interface_name, checked
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
    port, number = parse_port(arguments[1])
    pins = bridge.port_numbers if number is None else (*bridge.port_numbers, (port, number))
    return _with_bridge(config, replace(bridge, ports=(*bridge.ports, port), port_numbers=pins))


def _del_port(config: SwitchConfig, arguments: Sequence[str]) -> SwitchConfig:
    bridge = config.bridge(arguments[0])
    port = arguments[1]
    if port not in bridge.ports:
        there = ", ".join(bridge.ports) or "none"
        raise UsageError(f"bridge {bridge.name} has no port {port!r} (ports: {there})")
    ports = tuple(other for other in bridge.ports if other != port)
    pins = tuple(pin for pin in bridge.port_numbers if pin[0] != port)
    return _with_bridge(config, replace(bridge, ports=ports, port_numbers=pins))


def _set_controller(config: SwitchConfig, arguments: Sequence[str]) -> SwitchConfig:
    bridge = config.bridge(arguments[0])
    return _with_bridge(config, replace(bridge, controllers=tuple(map(parse_target, arguments[1:]))))


def _del_controller(config: SwitchConfig, arguments: Sequence[str]) -> SwitchConfig:
    return _with_bridge(config, replace(config.bridge(arguments[0]), controllers=()))


def _set_manager(config: SwitchConfig, arguments: Sequence[str]) -> SwitchConfig:
    return replace(config, managers=tuple(dict.fromkeys(map(parse_target, arguments))))


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
    for bridge in fresh.bridges:
        old = next((b for b in config.bridges if b.name == bridge.name), bridge)
        if old.datapath != bridge.datapath:
            raise UsageError(f"bridge {bridge.name}: {KEYS['datapath'].name} cannot change while it runs: restart")
    return fresh


CHANGES: Mapping[str, Change] = {
    "add-bridge": Change("BRIDGE [KEY=VALUE]...", 1, None, _add_bridge),
    "del-bridge": Change("BRIDGE", 1, 1, _del_bridge),
    "add-port": Change("BRIDGE INTERFACE[=NUMBER]", 2, 2, _add_port),
    "del-port": Change("BRIDGE INTERFACE", 2, 2, _del_port),
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
