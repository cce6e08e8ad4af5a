"""Every header action against the packets of os-ken's conformance suite (OpenFlow 1.3 "action" tests).

The suite ships with os-ken as JSON: packets in, flows, packets out, all as text that os-ken's own packet library turns
into bytes. Here the actions alone run, without a switch; the whole switch runs the suite in tests/conformance.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import os_ken.tests
import pytest
from os_ken.lib.packet import icmp, icmpv6, sctp
from scapy.layers.sctp import crc32c

from inband.flow import actions
from inband.flow.actions import HeaderAction, SetField
from inband.packet.edit import apply
from inband.packet.frame import Frame

_SUITE = Path(os_ken.tests.__file__).parent / "switch" / "of13" / "action"

_MODULES = ("arp", "ethernet", "icmp", "icmpv6", "ipv4", "ipv6", "mpls", "pbb", "sctp", "tcp", "udp", "vlan")

_ACTIONS: dict[str, type[Any]] = {
    "OFPActionPushVlan": actions.PushVlan,
    "OFPActionPopVlan": actions.PopVlan,
    "OFPActionPushMpls": actions.PushMpls,
    "OFPActionPopMpls": actions.PopMpls,
    "OFPActionPushPbb": actions.PushPbb,
    "OFPActionPopPbb": actions.PopPbb,
    "OFPActionSetMplsTtl": actions.SetMplsTtl,
    "OFPActionDecMplsTtl": actions.DecMplsTtl,
    "OFPActionSetNwTtl": actions.SetNwTtl,
    "OFPActionDecNwTtl": actions.DecNwTtl,
    "OFPActionCopyTtlOut": actions.CopyTtlOut,
    "OFPActionCopyTtlIn": actions.CopyTtlIn,
}


def _vocabulary() -> dict[str, Any]:
    names: dict[str, Any] = {}
    for module_name in _MODULES:
        module = importlib.import_module(f"os_ken.lib.packet.{module_name}")
        names |= {name: value for name, value in vars(module).items() if isinstance(value, type)}
    # The names that os-ken's tester gives to what would clash, or is wrong.
    return names | {"icmpv6echo": icmpv6.echo, "echo": icmp.echo, "sctp": _Sctp}


class _Sctp(sctp.sctp):  # type: ignore[misc]
    """os-ken 4.2.2 computes the CRC32c over ``str(data)``: no switch could correct that for a changed port."""

    def _checksum(self, data: bytes) -> int:
        return int(crc32c(bytes(data)))


_NAMES = _vocabulary()


def _packet(layers: list[str]) -> bytes:
    packet = eval("/".join(layers), {}, dict(_NAMES))
    packet.serialize()
    return bytes(packet.data)


def _value(given: int | str) -> int:
    if isinstance(given, int):
        return given
    if "." in given:
        return int.from_bytes(bytes(int(part) for part in given.split(".")), "big")
    if given.count(":") == 5 and "::" not in given:
        return int(given.replace(":", ""), 16)
    return int.from_bytes(ip_address(given).packed, "big")


def _action(name: str, arguments: dict[str, Any]) -> HeaderAction | None:
    if name == "OFPActionSetField":
        field = arguments["field"]["OXMTlv"]
        return SetField(field["field"], _value(field["value"]))
    if name == "OFPActionOutput":
        return None
    action: HeaderAction = _ACTIONS[name](*arguments.values())
    return action


def _header_actions(test: dict[str, Any]) -> Iterator[HeaderAction]:
    for message in test["prerequisite"]:
        for instruction in message["OFPFlowMod"]["instructions"]:
            for given in instruction.get("OFPInstructionActions", {}).get("actions", ()):
                for name, arguments in given.items():
                    action = _action(name, arguments)
                    if action is not None:
                        yield action


def _cases() -> list[Any]:
    return [
        pytest.param(test, packets, id=f"{path.stem} {test['description']}")
        for path in sorted(_SUITE.rglob("*.json"))
        for test in json.loads(path.read_text())[1:]
        for packets in test["tests"]
        if "egress" in packets
    ]


_CASES = _cases()


def test_the_suite_is_there() -> None:
    assert len(_CASES) > 150


@pytest.mark.parametrize(("test", "packets"), _CASES)
def test_actions_change_packets_as_the_suite_says(test: dict[str, Any], packets: dict[str, list[str]]) -> None:
    frame = Frame(_packet(packets["ingress"]))

    for action in _header_actions(test):
        frame = apply(frame, action)

    # os-ken pads what it makes to Ethernet's least size, as a network card would.
    assert frame.data.ljust(60, b"\0").hex() == _packet(packets["egress"]).hex()
