"""``inband check``: what a configuration would do on this machine, in words, without doing it."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from inband.errors import InbandError, UsageError
from inband.host import interfaces, moving
from inband.host.requests import Requests
from inband.runtime.config_document import config_of
from inband.runtime.config_load import read_file
from inband.runtime.link_managers import running_managers
from inband.runtime.network_key import read_network_keys
from inband.switch.config import BridgeConfig, SwitchConfig
from inband.switch.core import names_of
from inband.switch.cutting import Session, why_cut

_NETWORKD = Path("/run/systemd/netif/links")


def findings(file: Path, running: Mapping[str, object] | None, session: Session | None) -> Iterator[str]:
    """What is worth knowing before the file is followed; raises UsageError when it is refused.

    ``running`` is the configuration of the running switch as a document, None when none runs.
    """
    after, before = read_file(file), SwitchConfig() if running is None else config_of(running)
    if not after.bridges:
        yield f"{file} has no bridge: this switch would do nothing"
    if session is not None:
        reason = why_cut(session, before, after, _interface_with(session), None)
        if reason is not None:
            yield f"your session from {session.far} would be cut: {reason}"
    for manager in sorted(set(before.managers) - set(after.managers), key=str):
        yield f"manager {manager} would not be protected any more"
    for gone in {bridge.name for bridge in before.bridges} - {bridge.name for bridge in after.bridges}:
        yield f"bridge {gone} is not in {file}: it would go away, and {gone} with its addresses"
    ours = {port for bridge in before.bridges for port in bridge.ports}
    for bridge in after.bridges:
        yield from (f"bridge {bridge.name}: {text}" for text in _about_ports(bridge, ours))
        yield from _about_key(bridge)
    for name in sorted(names_of(after)):
        yield from _about_name(name)


def _about_ports(bridge: BridgeConfig, ours: set[str]) -> Iterator[str]:
    managers = running_managers()
    for port in bridge.ports:
        if port in ours:
            continue
        try:
            interfaces.check_port(port)
            had = moving.belongings_of(port)
        except InbandError as error:
            yield str(error)
            continue
        carried = [str(each) for each in (*had.addresses, *had.leased) if not each.ip.is_link_local]
        if carried and port != bridge.adopt:
            yield f"port {port} carries {', '.join(carried)}, which would be lost: adopt = {port!r} keeps it"
        if managers and _is_managed(port):
            yield f"port {port} is managed by another program ({', '.join(managers)}): have it leave the port alone"


def _about_key(bridge: BridgeConfig) -> Iterator[str]:
    try:
        read_network_keys(bridge)
    except UsageError as error:
        yield str(error)


def _is_managed(port: str) -> bool:
    """Whether systemd-networkd says that it configures an interface; what others manage is not known from outside."""
    try:
        text = (_NETWORKD / str(socket.if_nametoindex(port))).read_text(errors="replace")
    except OSError:
        return not _NETWORKD.exists()
    return "ADMIN_STATE=unmanaged" not in text


def _about_name(name: str) -> Iterator[str]:
    try:
        socket.getaddrinfo(name, None)
    except OSError as error:
        yield f"{name} does not resolve here now: {error.strerror or error}"


def _interface_with(session: Session) -> str | None:
    """The interface that has the near address of a session."""
    with Requests() as requests:
        address = next((each for each in interfaces.list_addresses(requests) if each.address == session.near), None)
        link = None if address is None else requests.link_at(address.interface_index)
        return None if link is None else link.name
