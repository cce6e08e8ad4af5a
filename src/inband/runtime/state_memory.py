"""``switch.memory`` as a document of the state directory."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from inband.errors import InbandError
from inband.flow.ports import PortNo
from inband.runtime.state_dir import Document
from inband.switch.memory import BridgeMemory
from inband.vocabulary.addresses import Mac

log = logging.getLogger(__name__)

MEMORY = "state.json"


def document_of(bridges: Mapping[str, BridgeMemory]) -> Document:
    """What bridges remember, by the bridge's name."""
    return {"bridges": {name: _document(memory) for name, memory in bridges.items()}}


def _document(memory: BridgeMemory) -> Document:
    return {
        "ports": {name: int(number) for name, number in memory.ports.items()},
        "datapath-id": None if memory.datapath_id is None else f"{memory.datapath_id:016x}",
        "mac": None if memory.mac is None else str(memory.mac),
        "adopted": memory.adopted,
        "leases": sorted(memory.leases),
        "lease-server": None if memory.lease_server is None else list(memory.lease_server),
    }


def memory_of(document: Document | None) -> dict[str, BridgeMemory]:
    """The same from a document; nothing when there is none or it is not ours, which is logged."""
    if document is None:
        return {}
    try:
        bridges: Any = document["bridges"]
        return {str(name): _memory(memory) for name, memory in bridges.items()}
    except (InbandError, AttributeError, KeyError, TypeError, ValueError) as error:
        log.warning("port numbers and datapath ids of an earlier run cannot be read: %r", error)
        return {}


def _memory(document: Any) -> BridgeMemory:
    datapath_id, mac, adopted, server = (document.get(key) for key in ("datapath-id", "mac", "adopted", "lease-server"))
    return BridgeMemory(
        {str(name): PortNo(number) for name, number in document.get("ports", {}).items()},
        None if datapath_id is None else int(datapath_id, 16),
        None if mac is None else Mac.parse(mac),
        None if adopted is None else str(adopted),
        frozenset(int(version) for version in document.get("leases", ())),
        None if server is None else (int(server[0]), str(server[1])),
    )
