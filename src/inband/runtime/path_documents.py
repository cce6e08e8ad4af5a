"""By which port each destination of control is reached, as ``inband paths`` prints it: for people and scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from itertools import groupby
from typing import TypedDict

from inband.bridge.bridge import Bridge
from inband.bridge.path_view import SWITCH, Path, PathView
from inband.flow.ports import PortNo
from inband.runtime.bridge_documents import folded, key_words, natural

_INDENT = " " * 6


class PathPortDocument(TypedDict):
    """A port of the switch: ``neighbour`` is the datapath id of the switch of this kind that is there, or None.

    ``label`` is what people call that one.
    """

    port: int
    interface: str
    neighbour: str | None
    label: str | None


class PathDocument(TypedDict):
    """A destination: an address, or the network of hosts that call, and why it is one (``kinds``).

    ``names``: what targets call it. ``connected``: whether a controller's channel works, None for others. ``next_hop``:
    whose port it is, if that is another address. ``outside``: the interface by which this machine reaches it past the
    bridge. ``switch``: the datapath id of whose LOCAL it is, ``label`` what people call that one. ``proof``: why it is
    believed to be behind ``by``, since ``for_s`` seconds; "none": frames for it are flooded. ``hops`` and
    ``alternatives`` are by neighbours' words.
    """

    address: str
    kinds: list[str]
    names: list[str]
    connected: bool | None
    next_hop: str | None
    mac: str | None
    outside: str | None
    switch: str | None
    label: str | None
    by: PathPortDocument | None
    proof: str
    for_s: float | None
    hops: int | None
    alternatives: list[PathPortDocument]


class BridgeDocument(TypedDict):
    """One bridge. ``switch`` is its datapath id, None where neighbours are off; ``keys``: how many are accepted."""

    name: str
    switch: str | None
    keys: int
    paths: list[PathDocument]


def document(bridge: Bridge, names: Mapping[str, Sequence[str]]) -> BridgeDocument:
    """Everything that is known now; ``names`` are those of remotes by address."""
    fabric, view = bridge.neighbours.fabric, PathView(bridge)
    return {
        "name": bridge.name,
        "switch": None if fabric is None else f"{fabric.switch:016x}",
        "keys": 0 if fabric is None or fabric.keys is None else len(fabric.keys.keys),
        "paths": [
            _path(bridge, view, path, names.get(path.place, ()))
            for _, same in groupby(view.paths(), key=lambda path: path.kinds[0])
            for path in sorted(same, key=lambda path: natural(path.place))
        ],
    }


def lines(bridge: BridgeDocument) -> list[str]:
    """A heading, and for each destination who it is, by which port it is reached and why, and by which else."""
    who = (
        "neighbours are off" if bridge["switch"] is None else f"switch {bridge['switch']}; {key_words(bridge['keys'])}"
    )
    head = f"{bridge['name']}: {who}" + ("" if bridge["paths"] else "; it has no destination of control")
    named = {path["switch"] for path in bridge["paths"] if not _is_link_local(path)}
    shown = (path for path in bridge["paths"] if not (_is_link_local(path) and path["switch"] in named))
    return [head, *(line for path in shown for line in _lines(path))]


def _is_link_local(path: PathDocument) -> bool:
    """Whether it is a switch's address that its link alone knows; people know it by another one, if there is one."""
    return path["kinds"] == [SWITCH] and ip_address(path["address"]).is_link_local


def _path(bridge: Bridge, view: PathView, path: Path, names: Sequence[str]) -> PathDocument:
    return {
        "address": path.place,
        "kinds": list(path.kinds),
        "names": list(names),
        "connected": path.works,
        "next_hop": None if path.next_hop is None else str(path.next_hop),
        "mac": None if path.mac is None else str(path.mac),
        "outside": path.outside,
        "switch": None if path.switch is None else f"{path.switch:016x}",
        "label": None if path.switch is None else view.labels[path.switch],
        "by": None if path.port is None else _port(bridge, view, path.port),
        "proof": str(path.proof),
        "for_s": None if path.since is None else round(max(0.0, bridge.now - path.since), 3),
        "hops": path.hops,
        "alternatives": [_port(bridge, view, port) for port in path.alternatives],
    }


def _port(bridge: Bridge, view: PathView, number: PortNo) -> PathPortDocument:
    port, neighbour = bridge.ports.get(number), view.neighbour(number)
    return {
        "port": int(number),
        "interface": "" if port is None else port.name,
        "neighbour": None if neighbour is None else f"{neighbour:016x}",
        "label": None if neighbour is None else view.labels[neighbour],
    }


def _lines(path: PathDocument) -> list[str]:
    what = ", ".join([*path["kinds"], *path["names"]])
    if path["label"] not in (None, path["address"]):
        what += f" {path['label']}"
    if path["connected"] is not None:
        what += ", connected" if path["connected"] else ", not connected"
    by = "" if path["next_hop"] is None else f" by {path['next_hop']}"
    others = (f"{_INDENT}else {_port_words(port)}" for port in path["alternatives"])
    whole = (f"  {path['address']} ({what}){by}", _INDENT + _where(path), *others)
    return [line for each in whole for line in folded(each, _INDENT)]


def _where(path: PathDocument) -> str:
    """By which port, and why."""
    if path["outside"] is not None:
        return f"{path['outside']}, which is not this bridge's: by the kernel's routes"
    if path["by"] is None:
        return "no port is known: frames for it are flooded"
    hops = "" if path["hops"] is None else f", {path['hops']} hop" + ("" if path["hops"] == 1 else "s")
    since = "" if path["for_s"] is None else f", for {path['for_s']:.1f} s"
    return f"{_port_words(path['by'])}{hops}: {path['proof']}{since}"


def _port_words(port: PathPortDocument) -> str:
    to = "" if port["label"] is None else f" to {port['label']}"
    return f"port {port['port']} ({port['interface']}){to}"
