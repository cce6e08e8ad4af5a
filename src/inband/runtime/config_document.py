"""A configuration as a document with the words of the configuration file: what the state directory keeps of it.

Read by the reader of the file, so that what was written by an older release is checked like everything else.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from inband.runtime.config_keys import DHCP, DHCPV6, KEYS, Key
from inband.runtime.config_load import read_document
from inband.runtime.state_dir import Document
from inband.switch.config import BridgeConfig, LogFormat, SwitchConfig, Watching
from inband.vocabulary.openflow import OFP10

_WHERE = Path("the state directory")


def document_of(config: SwitchConfig) -> Document:
    """Everything but the command line's options."""
    return {
        "run-dir": str(config.run_dir),
        **({} if config.state_dir is None else {"state-dir": str(config.state_dir)}),
        **_watching(config.watching),
        **({} if config.ovsdb is None else {"ovsdb": config.ovsdb}),
        "manager": [str(target) for target in config.managers],
        "dns-server": [str(server) for server in config.dns_servers],
        "bridge": [_bridge(bridge) for bridge in config.bridges],
    }


def config_of(document: Document) -> SwitchConfig:
    """The same from a document; raises UsageError for one that is wrong."""
    return read_document({key: value for key, value in document.items() if key != "version"}, _WHERE)


def _watching(watching: Watching) -> Document:
    document: dict[str, object] = {}
    if watching.metrics is not None:
        host, port = watching.metrics
        document["metrics"] = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if watching.log_format is not LogFormat.TEXT:
        document["log-format"] = watching.log_format.value
    if watching.ovs_run_dir is not None:
        document["ovs-run-dir"] = str(watching.ovs_run_dir)
    return document


def _bridge(bridge: BridgeConfig) -> Document:
    plain = BridgeConfig(bridge.name)
    values = ((key, texts_of(bridge, key)) for key in KEYS.values())
    changed = {key.name: texts if key.many else texts[0] for key, texts in values if texts != texts_of(plain, key)}
    return {"name": bridge.name, **changed}


def texts_of(bridge: BridgeConfig, key: Key) -> list[str]:
    """A setting as a person would write it; one ``none`` or nothing where it is not set."""
    match key.name:
        case "port":
            return [_port(bridge, name) for name in bridge.ports]
        case "address":
            words = ((DHCP, bridge.dhcp), (DHCPV6, bridge.dhcpv6))
            return [*map(str, bridge.addresses), *(word for word, is_wanted in words if is_wanted)]
        case "openflow-version":
            return ["1.0" if version == OFP10 else "1.3" for version in bridge.openflow_versions]
        case "datapath-id":
            return ["none" if bridge.datapath_id is None else f"{bridge.datapath_id:016x}"]
        case _:  # whose text is the value's own
            value = getattr(bridge, key.field)
            return [_text(one) for one in (value if key.many else [value])]


def _port(bridge: BridgeConfig, name: str) -> str:
    pins = dict(bridge.port_numbers)
    said = (dict[str, object](pairs).get(name) for pairs in (bridge.port_vlans, bridge.port_trees))
    words = [str(each) for each in said if each is not None]
    return ",".join([f"{name}={int(pins[name])}" if name in pins else name, *filter(None, words)])


def _text(value: object) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "on" if value else "off"
        case Enum():
            return str(value.value)
        case _:  # numbers, addresses, paths, targets
            return str(value)
