"""How each setting of a bridge is written: one table for the file, the options and ``inband set``.

Every setting has one reader, from text. A TOML value of an allowed type becomes the text that a person would type, and
goes the same way; so the three places cannot drift apart and share their complaints. Keys are spelled as the
options of ``inband run``, underscores count as hyphens (habit of ovs-vsctl's columns).

Not here: which settings fit together (``config.checked``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from ipaddress import IPv4Address, ip_interface
from pathlib import Path
from typing import Any, NamedTuple

from inband.errors import UsageError
from inband.flow.membership import MEMBERSHIP_WORDS, VlanMembership, parse_membership
from inband.flow.ports import PortNo
from inband.stp.settings import PORT_WORDS, PortTreeSettings, parse_port_settings, parse_priority
from inband.switch.config import BridgeConfig, DatapathKind, FailMode, IpInterface, Protection, check_interface_name
from inband.switch.targets import parse_target
from inband.vocabulary.addresses import Mac, parse_ip
from inband.vocabulary.openflow import MAX_QUEUE, OFP10, OFP13

# The last VLAN that a port may be in (IEEE 802.1Q, table 9-2).
MAX_VLAN = 4094
log = logging.getLogger(__name__)

DHCP, DHCPV6 = "dhcp", "dhcpv6"
NONE = "none"


@dataclass(frozen=True, slots=True)
class Key:
    """One setting: its spelling, the field of BridgeConfig it fills, its reader, and for people what is allowed.

    ``default`` and ``about`` are for people too: what it is when it is not set, and what it is for.

    ``toml`` are the TOML types that can be meant. ``many``: takes a list. ``optional``: ``none`` means unset.
    ``settable``: `inband set` changes it (ports and controllers have verbs of their own).
    """

    name: str
    field: str
    parse: Callable[[str], object]
    allowed: str
    default: str
    about: str
    toml: tuple[type, ...] = (str,)
    many: bool = False
    optional: bool = False
    settable: bool = True

    @property
    def values(self) -> str:
        """Everything that is allowed, in words."""
        return f"{self.allowed}, or none" if self.optional else self.allowed

    def read(self, texts: Sequence[str]) -> object:
        """The field's value from one or more texts; raises UsageError naming the key and what is allowed."""
        if self.optional and list(texts) == [NONE]:
            return () if self.many else None
        if len(texts) != 1 and not self.many:
            raise UsageError(f"{self.name} takes one value, not {len(texts)}: {self.values}")
        values = tuple(self._read_one(text) for text in texts)
        return values if self.many else values[0]

    def _read_one(self, text: str) -> object:
        try:
            return self.parse(text)
        except UsageError as error:
            raise UsageError(f"{self.name}: {error}") from None
        except ValueError:
            raise UsageError(f"{self.name}: {text!r} is not allowed: {self.values}") from None

    def read_toml(self, value: object) -> object:
        """The same from a TOML value: one of ``toml``, or a list of such where ``many``."""
        values: list[object] = value if self.many and isinstance(value, list) else [value]
        texts = []
        for one in values:
            # type(), not isinstance: TOML's true is not a number.
            if type(one) not in self.toml and one != NONE:
                raise UsageError(f"{self.name}: {_toml_type(one)} is not allowed: {self.values}")
            texts.append({True: "on", False: "off"}[one] if isinstance(one, bool) else str(one))
        return self.read(texts)


def _toml_type(value: object) -> str:
    names = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "a list",
        dict: "a table",
    }
    return names.get(type(value), "a date or time")


def _on_off(text: str) -> bool:
    return {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}[_word(text, _ON_OFF)]


_ON_OFF = ("on", "off", "true", "false", "yes", "no")


def _word(text: str, allowed: Sequence[str]) -> str:
    if text.lower() not in allowed:
        raise ValueError(text)
    return text.lower()


def _number(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = int(text, 0) if text.isascii() else -1
        if not low <= number <= high:
            raise ValueError(text)
        return number

    return parse


def _seconds(low: float, high: float, *, zero: bool = False) -> Callable[[str], float]:
    def parse(text: str) -> float:
        scale = 0.001 if text.endswith("ms") else 1.0
        seconds = float(text.removesuffix("ms").removesuffix("s")) * scale
        if not ((zero and seconds == 0) or low <= seconds <= high):  # NaN compares false, so it is refused too
            raise ValueError(text)
        return seconds

    return parse


class PortWords(NamedTuple):
    """What is said of a port: its name, and its number, VLANs and spanning tree settings as far as they are said."""

    name: str
    number: PortNo | None
    vlans: VlanMembership | None
    tree: PortTreeSettings | None


def parse_port(text: str) -> PortWords:
    """Read ``eth2``, ``eth2=7`` with a number, or with VLANs ``eth2=7,tag=10``; raises UsageError."""
    port, *words = text.split(",")
    try:
        given = _port_words(words)
        vlans = parse_membership({word: value for word, value in given.items() if word in MEMBERSHIP_WORDS})
        of_tree = {word: value for word, value in given.items() if word in PORT_WORDS}
        tree = parse_port_settings(of_tree)
    except UsageError as error:
        raise UsageError(f"{port}: {error}") from None
    name, equals, number = port.rpartition("=")
    if equals and number.isascii() and number.isdigit():
        return PortWords(check_interface_name(name), PortNo(int(number)), vlans, tree)
    return PortWords(check_interface_name(port), None, vlans, tree)


def _port_words(words: Sequence[str]) -> dict[str, str]:
    """What stands behind a port's name, by word. Raises UsageError."""
    allowed = {**MEMBERSHIP_WORDS, **PORT_WORDS}
    given: dict[str, str] = {}
    for each in words:
        word, equals, value = each.partition("=")
        if not equals or word not in allowed:
            all_words = ", ".join(f"{name}={what}" for name, what in allowed.items())
            raise UsageError(f"{each!r} is none of {all_words}")
        if word in given:
            raise UsageError(f"{word} is given twice")
        given[word] = value
    return given


def _datapath_id(text: str) -> int:
    digits = text.lower().removeprefix("0x")
    if not (digits and len(digits) <= 16 and set(digits) <= set("0123456789abcdef") and int(digits, 16)):
        raise ValueError(text)
    return int(digits, 16)


def _own_mac(text: str) -> Mac:
    mac = Mac.parse(text)
    if mac.is_multicast or not mac:
        raise ValueError(text)
    return mac


_BROADCAST = IPv4Address("255.255.255.255")


def _address(text: str) -> IpInterface | str:
    if text in (DHCP, DHCPV6):
        return text
    if "/" not in text:
        parse_ip(text)  # says what is wrong with the address; else only the length is missing
        raise UsageError(f"{text!r} has no prefix length: write {text}/24")
    address = ip_interface(text)
    ip = address.ip
    if ip.is_multicast or ip.is_unspecified or ip.is_loopback or ip == _BROADCAST:
        raise ValueError(text)
    return address


def _file(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError(text)
    return Path(text)


_VERSIONS = {"1.0": OFP10, "openflow10": OFP10, "1.3": OFP13, "openflow13": OFP13}


def _openflow_version(text: str) -> int:
    return _VERSIONS[_word(text, list(_VERSIONS))]


_SECONDS = (int, float, str)

_ROWS = (
    Key(
        "port",
        "ports",
        parse_port,
        "the name of an interface, or NAME=NUMBER with its port number; behind it VLANs as in eth1,tag=10, and words "
        "for the spanning tree as in eth1,rstp-edge=on",
        "none",
        "An interface of the bridge.",
        many=True,
        settable=False,
    ),
    Key(
        "controller",
        "controllers",
        parse_target,
        "targets, or auto",
        "none",
        "A controller; auto: those that neighbours of the network-key use.",
        many=True,
        optional=True,
        settable=False,
    ),
    Key(
        "fail-mode",
        "fail_mode",
        FailMode,
        "secure or standalone",
        "standalone",
        "Without a controller: only in-band control, or forward as a learning switch.",
    ),
    Key(
        "datapath",
        "datapath",
        DatapathKind,
        "auto, ebpf or userspace",
        "auto",
        "What moves the packets.",
        settable=False,
    ),
    Key(
        "address",
        "addresses",
        _address,
        "ADDRESS/LENGTH, dhcp or dhcpv6",
        "none",
        "An address of the bridge's own interface.",
        many=True,
        optional=True,
    ),
    Key("gateway", "gateway", parse_ip, "an address", "none", "The default gateway.", optional=True),
    Key(
        "adopt",
        "adopt",
        check_interface_name,
        "a port",
        "none",
        "The port whose addresses and routes the bridge's own interface takes over.",
        optional=True,
        settable=False,
    ),
    Key(
        "queue",
        "queue",
        _number(0, MAX_QUEUE),
        f"0 to {MAX_QUEUE}",
        "none",
        "The queue of control traffic.",
        (int, str),
        optional=True,
    ),
    Key(
        "control-vlan",
        "control_vlan",
        _number(1, MAX_VLAN),
        f"1 to {MAX_VLAN}",
        "none",
        "The VLAN of the bridge's own interface and of control, with a tag but on access ports; none: untagged.",
        (int, str),
        optional=True,
    ),
    Key(
        "rstp",
        "rstp",
        _on_off,
        "on or off",
        "off",
        "The spanning tree (RSTP) for data: of cables that make a circle one is closed to it.",
        (bool, str),
    ),
    Key(
        "rstp-priority",
        "rstp_priority",
        parse_priority,
        "multiples of 4096 from 0 to 61440",
        "32768",
        "The bridge's priority in the spanning tree; the lowest is the root.",
        (int, str),
    ),
    Key("in-band", "in_band", _on_off, "on or off", "on", "In-band control.", (bool, str)),
    Key(
        "datapath-id",
        "datapath_id",
        _datapath_id,
        "up to 16 hexadecimal digits, not all 0",
        "from the first MAC address, then kept",
        "The datapath id.",
        optional=True,
    ),
    Key(
        "mac",
        "mac",
        _own_mac,
        "the MAC address of one host, as 02:00:00:00:00:01",
        "the lowest of its ports', then kept",
        "The MAC address of the bridge's own interface.",
        optional=True,
    ),
    Key(
        "inactivity-probe",
        "inactivity_probe_s",
        _seconds(0.1, 3600, zero=True),
        "seconds, as in 5 or 500ms; 0: never",
        "5",
        "Silence before a controller is asked for a sign of life.",
        _SECONDS,
    ),
    Key(
        "max-backoff",
        "max_backoff_s",
        _seconds(0.1, 3600),
        "seconds, as in 5 or 500ms",
        "8",
        "Time between attempts to connect, at most.",
        _SECONDS,
    ),
    Key(
        "flow-limit", "flow_limit", _number(0, 2**32 - 1), "0 to 4294967295", "1000000", "Flows per table.", (int, str)
    ),
    Key(
        "peer-redirect",
        "peer_redirect",
        _on_off,
        "on or off",
        "on",
        "Whether known unicast may skip veth ports.",
        (bool, str),
    ),
    Key(
        "neighbours",
        "neighbours",
        _on_off,
        "on or off",
        "on",
        "Whether it speaks to switches of its kind on its ports.",
        (bool, str),
    ),
    Key(
        "network-key",
        "network_keys",
        _file,
        "a file with 32 bytes or more, or two: the first one signs, both are accepted",
        "none",
        "The secret that all switches of a network have: neighbours without it are not believed.",
        many=True,
        optional=True,
    ),
    Key(
        "protect",
        "protect",
        Protection,
        "alternative or duplicate",
        "alternative",
        "How channels bear failures: by the next best way, or (with a network-key) by all ways at once.",
    ),
    Key(
        "openflow-version",
        "openflow_versions",
        _openflow_version,
        "1.0 and 1.3",
        "both",
        "A version of OpenFlow to speak.",
        (str, float),
        many=True,
    ),
    Key("private-key", "private_key", _file, "a file (PEM)", "none", "For tls: targets.", optional=True),
    Key("certificate", "certificate", _file, "a file (PEM)", "none", "For tls: targets.", optional=True),
    Key(
        "ca-cert",
        "ca_cert",
        _file,
        "a file (PEM)",
        "none",
        "The certificate of the authority, for tls: targets.",
        optional=True,
    ),
)

KEYS: Mapping[str, Key] = {key.name: key for key in _ROWS}
"""Every setting of a bridge by its spelling."""

SETTABLE = tuple(key.name for key in _ROWS if key.settable)
"""What `inband set` changes."""


_NOT_BY_SET = {
    "datapath": "cannot change while the bridge runs: write it into the file, it needs a restart",
    "port": "has verbs of its own: `inband add-port`, `inband set-port`, `inband del-port`",
    "controller": "has a verb of its own: `inband set-controller`",
    "adopt": "has verbs of its own: `inband adopt`, `inband release`",
}


def find_key(name: str, allowed: Sequence[str] = tuple(KEYS)) -> Key:
    """The key of this spelling; raises UsageError with the nearest one, or all that are allowed."""
    spelled = name.strip().lower().replace("_", "-")
    if spelled in KEYS and spelled not in allowed:
        raise UsageError(f"{spelled} {_NOT_BY_SET.get(spelled, 'cannot be changed like this')}")
    if spelled in allowed and spelled != name.strip():
        log.warning("%r is taken for %s: write it so", name, spelled)
    if spelled not in allowed:
        raise UsageError(f"unknown key {name!r}: {suggestion(spelled, allowed)}")
    return KEYS[spelled]


def suggestion(word: str, allowed: Sequence[str]) -> str:
    """What to say after "unknown ...": the nearest word, else every word."""
    close = get_close_matches(word, allowed, 1)
    return f"did you mean {close[0]}?" if close else f"allowed are {', '.join(allowed)}"


def with_values(bridge: BridgeConfig, values: Mapping[str, object]) -> BridgeConfig:
    """``bridge`` with fields replaced by what :meth:`Key.read` returned for them."""
    fields: dict[str, Any] = dict(values)
    if "addresses" in fields:
        addresses = fields["addresses"]
        fields["addresses"] = tuple(dict.fromkeys(each for each in addresses if each not in (DHCP, DHCPV6)))
        fields["dhcp"], fields["dhcpv6"] = DHCP in addresses, DHCPV6 in addresses
    if "ports" in fields:
        ports = fields["ports"]
        fields["ports"] = tuple(port.name for port in ports)
        fields["port_numbers"] = tuple((port.name, port.number) for port in ports if port.number is not None)
        fields["port_vlans"] = tuple((port.name, port.vlans) for port in ports if port.vlans is not None)
        fields["port_trees"] = tuple((port.name, port.tree) for port in ports if port.tree is not None)
    if "openflow_versions" in fields:
        fields["openflow_versions"] = tuple(sorted(set(fields["openflow_versions"])))
    return replace(bridge, **fields)


def parse_setting(text: str) -> tuple[str, object]:
    """Read ``KEY=VALUE`` of `inband set` into (field of BridgeConfig, value). Lists are separated by commas."""
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"{text!r} is not KEY=VALUE: keys are {', '.join(SETTABLE)}")
    key = find_key(name, SETTABLE)
    return key.field, key.read(value.split(",") if key.many else [value])


_VERBS = {
    "port": "`add-port`, `set-port`, `del-port`",
    "controller": "`set-controller`",
    "datapath": "no: restart",
    "adopt": "`adopt`, `release`",
}


def settings_table() -> str:
    """The table of settings in docs/guide.md."""
    lines = [
        "| key | values | default | by `inband set` | what it is |",
        "| --- | --- | --- | --- | --- |",
        "| `name` | 1 to 15 characters | | | The bridge's name, and that of its own interface. |",
    ]
    for key in _ROWS:
        how = "yes, commas between" if key.many else "yes"
        lines.append(f"| `{key.name}` | {key.values} | {key.default} | {_VERBS.get(key.name, how)} | {key.about} |")
    return "\n".join(lines) + "\n"
