"""What a switch that died has left on this host and no configuration takes up again.

A port is given back: its frames must not vanish for ever in a forgotten filter. A bridge's own interface is
named and left: it may carry the address by which an operator is logged in.

Invariant: only what no live switch has locked is looked at, and the lock is held while something is done to it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from inband.errors import HostError, InbandError, UsageError
from inband.host import interfaces, made_ports, moving
from inband.host.shaping import unshape_by_name
from inband.runtime.interface_locks import InterfaceLocks
from inband.switch.config import SwitchConfig
from inband.switch.memory import BridgeMemory

log = logging.getLogger(__name__)


def give_back_stale_ports(names: Iterable[str], locks: InterfaceLocks) -> None:
    """Look at these interfaces. Takes some 0.1 ms for each; what the kernel refuses is logged."""
    for name in names:
        try:
            made = None if name in locks else interfaces.made_of(name)
            if made is not None:
                _give_back(name, made == "port", locks)
        except UsageError:
            continue  # a live switch has it, or it is gone
        except HostError as error:
            log.warning("interface %s is the left-over of a switch that died, and stays so: %s", name, error)


def undo_stale_adoptions(memory: Mapping[str, BridgeMemory], config: SwitchConfig) -> None:
    """Give interfaces their addresses again that a killed switch had adopted, and that ``config`` does not adopt."""
    wanted = {bridge.name: bridge.adopt for bridge in config.bridges}
    for name, remembered in memory.items():
        adopted = remembered.adopted
        if adopted is None or wanted.get(name) == adopted:
            continue
        try:
            if interfaces.made_of(name) == "bridge" and interfaces.made_of(adopted) == "port":
                ownership = interfaces.PortOwnership()
                ownership.own_port(adopted)
                ownership.release_port(adopted)
                moving.take(name, adopted, moving.give(name, adopted))
                log.warning("interface %s has its addresses again, which bridge %s had adopted", adopted, name)
        except InbandError as error:
            log.error("interface %s, which bridge %s had adopted, cannot be given back: %s", adopted, name, error)


def _give_back(name: str, is_port: bool, locks: InterfaceLocks) -> None:
    locks.take(name)
    try:
        if is_port:
            ownership = interfaces.PortOwnership()
            ownership.own_port(name)  # which adopts the filter, and what it remembers
            ownership.release_port(name)
            unshape_by_name(name)
            made_ports.remove(name)
            log.warning("interface %s was a port of a switch that died, and is none any more: given back", name)
        else:
            text = "interface %s is left over by a bridge that is not configured any more: `ip link del %s` removes it"
            log.warning(text, name, name)
    finally:
        locks.release(name)
