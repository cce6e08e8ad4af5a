"""The interfaces that the switch makes for ports of a bridge: which one is the port, and when it is removed.

A patch is there when both its ports are wanted, of whichever bridges of the process: the first of them makes it, and
the first one that goes removes it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import assert_never

from inband.errors import HostError
from inband.host import interfaces, made_ports
from inband.host.interfaces import DEFAULT_MTU
from inband.host.state import KernelState
from inband.runtime.local_port import smallest_mtu
from inband.switch.config import InternalPort, MadePort, PatchPort
from inband.vocabulary.tunnels import Tunnel

log = logging.getLogger(__name__)


def make(name: str, made: MadePort, kernel: KernelState, outside_ports: Iterable[str]) -> str | None:
    """Have the interface of a port, or another one with what is said now; None while a patch has no peer.

    Returns the name of the interface that the datapath has. Raises InbandError.
    """
    match made:
        case InternalPort(mac=mac, mtu=mtu):
            lowest = smallest_mtu(kernel, outside_ports) or DEFAULT_MTU
            return made_ports.ensure_internal(name, mac, mtu, lowest)
        case PatchPort(peer=peer):
            if peer is not None:
                made_ports.ensure_patch(name, peer)
            return name if peer is not None else None
        case Tunnel():
            made_ports.ensure_tunnel(name, made)
            return name
        case _:
            assert_never(made)


def unmake(name: str, made: MadePort) -> None:
    """Remove the interface of a port that is none any more. What the kernel refuses is logged."""
    try:
        if isinstance(made, InternalPort):
            interfaces.remove_local(name)
        else:
            made_ports.remove(name)
    except HostError as error:
        log.warning("interface %s, which was made for a port, stays: %s", name, error)
