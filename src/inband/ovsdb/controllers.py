"""The rows of Controller of one bridge, as targets and settings of that bridge."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from ipaddress import ip_interface
from typing import Any

from inband.errors import UsageError
from inband.ovsdb.rows import Row
from inband.ovsdb.wanted import WantedController
from inband.runtime.config_keys import KEYS
from inband.switch.config import IpInterface
from inband.switch.targets import Target, parse_target
from inband.vocabulary.addresses import parse_ip

Blame = Callable[[str, Row, str], None]

# What the settings of a bridge allow (``runtime.config_keys``), in milliseconds.
_MOST_MS = 3_600_000
_LEAST_PROBE_MS, _LEAST_BACKOFF_MS = 100, 1000


class ControllerRows:
    """Judges each row; ``wanted`` holds all of them, those with a target in the order in which they are dialled.

    ``no_auto`` is why the bridge cannot find its controllers itself; None: it can.
    """

    def __init__(self, bridge: str, rows: Iterable[Row], blame: Blame, *, has_tls: bool, no_auto: str | None) -> None:
        self._rows = sorted(rows, key=lambda row: (row.text("target"), row.uuid))
        self._blame = blame
        self._has_tls = has_tls
        self._no_auto = no_auto
        self.wanted: list[WantedController] = []
        places: set[tuple[object, int, str]] = set()
        for row in self._rows:
            target = self._target(row)
            if target is not None and (target.host, target.port, target.path) in places:
                blame("Controller", row, f"{target} is listed twice")
                target = None
            if target is not None:
                places.add((target.host, target.port, target.path))
            self.wanted.append(WantedController(bridge, row.uuid, target))

    def settings(self) -> Mapping[str, Any]:
        """What the rows say of the bridge, as fields of BridgeConfig. One value holds for all controllers of ours."""
        found: dict[str, Any] = {"controllers": tuple(each.target for each in self.wanted if each.target is not None)}
        backoffs = list(self._limits("max_backoff", _LEAST_BACKOFF_MS))
        probes = list(self._limits("inactivity_probe", _LEAST_PROBE_MS))
        if backoffs:
            found["max_backoff_s"] = min(backoffs) / 1000
        if probes:  # 0 is "never", so it is the longest
            found["inactivity_probe_s"] = min((probe for probe in probes if probe), default=0) / 1000
        return {**found, **self._addresses()}

    def _target(self, row: Row) -> Target | None:
        try:
            target = parse_target(row.text("target"))
        except UsageError as error:
            self._blame("Controller", row, str(error))
            return None
        if target.is_auto and self._no_auto is not None:
            self._blame("Controller", row, self._no_auto)
            return None
        if target.uses_tls and not self._has_tls:
            self._blame("Controller", row, f"{target} needs a private key and certificates: `ovs-vsctl set-ssl`")
            return None
        is_out_of_band = row.text("connection_mode") == "out-of-band"
        return replace(target, out_of_band=True) if is_out_of_band and target.in_band else target

    def _limits(self, column: str, least: int) -> Iterator[int]:
        for row in self._rows:
            value = row.number(column)
            if value is not None:
                yield 0 if value <= 0 else min(max(value, least), _MOST_MS)

    def _addresses(self) -> Mapping[str, Any]:
        """``local_ip`` and its companions: the address of the bridge's own interface, and the gateway."""
        addresses: dict[IpInterface, None] = {}
        found: dict[str, Any] = {}
        for row in self._rows:
            try:
                if row.text("local_ip"):
                    address = _interface(row.text("local_ip"), row.text("local_netmask"))
                    KEYS["address"].read([str(address)])  # raises UsageError for what an interface cannot have
                    addresses[address] = None
                if row.text("local_gateway"):
                    found["gateway"] = parse_ip(row.text("local_gateway"))
            except (ValueError, UsageError) as error:
                self._blame("Controller", row, f"local_ip, local_netmask, local_gateway: {error}")
        if addresses:
            found["addresses"] = tuple(addresses)
        return found


def _interface(address: str, mask: str) -> IpInterface:
    """An address with its network; without a mask that of its class (RFC 791, 3.2), as Open vSwitch has it.

    Raises ValueError.
    """
    found = ip_interface(f"{address}/{mask}" if mask else address)
    if mask or found.version == 6:
        return found
    first = int(found.ip) >> 24
    return ip_interface(f"{address}/{8 if first < 128 else 16 if first < 192 else 24}")
