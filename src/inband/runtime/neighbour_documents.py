"""Who a bridge's neighbours are, as ``inband neighbours`` prints it: a value that people and scripts read."""

from __future__ import annotations

from dataclasses import asdict
from typing import TypedDict

from inband.bridge.bridge import Bridge
from inband.fabric.link import Link
from inband.fabric.needs import Needs
from inband.flow.ports import PortNo
from inband.runtime.bridge_documents import key_words
from inband.vocabulary.instant import Instant


class NeighbourDocument(TypedDict):
    """One port: who is there, since when (seconds ago), how often each side says hello, and what came of hellos.

    ``neighbour`` is a datapath id in hexadecimal digits, ``remark`` what is odd, in words; both may be None, like
    ``round_trip_ms``.
    """

    port: int
    interface: str
    state: str
    reason: str
    for_s: float
    neighbour: str | None
    neighbour_port: int | None
    mac: str | None
    addresses: list[str]
    hello_ms: int
    carries_control: bool
    round_trip_ms: float | None
    remark: str | None
    counters: dict[str, int]


class NeedDocument(TypedDict):
    """What a neighbour's word has this switch let pass: ``kind`` and ``what``, told on ``port``, so many hops away.

    ``holds_s``: the word is gone, and holds for so long yet; None: it is there.
    """

    kind: str
    what: str
    port: int
    hops: int
    holds_s: float | None


class NeedsDocument(TypedDict):
    """How many needs of this switch are told, or are too many for it; those of others, and how many are refused."""

    told: int
    untold: int
    refused: int
    others: list[NeedDocument]


class BridgeDocument(TypedDict):
    """One bridge. ``keys``: how many network-keys are accepted. ``needs`` is None without one.

    ``changes``: of the topology, told by this switch, heard of, and refused as too many.
    """

    name: str
    enabled: bool
    switch: str | None
    keys: int
    changes: dict[str, int]
    needs: NeedsDocument | None
    ports: list[NeighbourDocument]


def document(bridge: Bridge) -> BridgeDocument:
    """Everything that is known now."""
    fabric = bridge.neighbours.fabric
    if fabric is None:
        return BridgeDocument(name=bridge.name, enabled=False, switch=None, keys=0, changes={}, needs=None, ports=[])
    changes = fabric.changes
    return {
        "name": bridge.name,
        "enabled": True,
        "switch": f"{fabric.switch:016x}",
        "keys": 0 if fabric.keys is None else len(fabric.keys.keys),
        "changes": {"told": changes.own, "heard": changes.taken, "refused": changes.refused},
        "needs": None if fabric.needs is None else _needs(fabric.needs, bridge.now),
        "ports": [_port(bridge, number, fabric.links[number]) for number in sorted(fabric.links)],
    }


def _port(bridge: Bridge, number: PortNo, link: Link) -> NeighbourDocument:
    now, peer, port = bridge.now, link.peer, bridge.ports.get(number)
    introduced = link.introduced
    return {
        "port": int(number),
        "interface": "" if port is None else port.name,
        "state": str(link.state),
        "reason": link.reason,
        "for_s": _seconds(now, link.since),
        "neighbour": None if peer is None else f"{peer.switch:016x}",
        "neighbour_port": None if peer is None else peer.port,
        "mac": None if introduced is None or introduced.mac is None else str(introduced.mac),
        "addresses": [] if introduced is None else [str(each) for each in introduced.addresses],
        "hello_ms": link.interval_ms(now),
        "carries_control": link.carries_control(now),
        "round_trip_ms": None if link.round_trip_s is None else round(link.round_trip_s * 1000, 3),
        "remark": link.remark,
        "counters": asdict(link.counters),
    }


def _needs(needs: Needs, now: Instant) -> NeedsDocument:
    others: list[NeedDocument] = [
        {
            "kind": need.kind.name.lower().replace("_", " "),
            "what": str(need),
            "port": int(word.port),
            "hops": word.hops,
            "holds_s": None if word.until is None else _seconds(word.until, now),
        }
        for need, word in sorted(needs.in_force.items())
    ]
    return {"told": needs.told, "untold": needs.untold, "refused": needs.refused, "others": others}


def _seconds(now: Instant, since: Instant) -> float:
    return round(max(0.0, now - since), 3)


def lines(bridge: BridgeDocument) -> list[str]:
    """A heading, and a line for each port."""
    if not bridge["enabled"]:
        return [f"{bridge['name']}: neighbours are off"]
    changes = bridge["changes"]
    key = key_words(bridge["keys"])
    head = (
        f"{bridge['name']}: switch {bridge['switch']}; {key}; topology changes: {changes['told']} told, "
        f"{changes['heard']} heard, {changes['refused']} refused"
    )
    return [
        head,
        *_needs_lines(bridge["needs"]),
        *(f"  {line}" for port in bridge["ports"] for line in _port_lines(port)),
    ]


def _needs_lines(needs: NeedsDocument | None) -> list[str]:
    if needs is None:
        return []
    refused = f", {needs['refused']} refused: they are too many" if needs["refused"] else ""
    untold = f", {needs['untold']} are too many to be told" if needs["untold"] else ""
    head = f"  needs: {needs['told']} told{untold}; {len(needs['others'])} of other switches let pass{refused}"
    return [head, *(f"    {_need_line(each)}" for each in needs["others"])]


def _need_line(need: NeedDocument) -> str:
    hops = "1 hop" if need["hops"] == 1 else f"{need['hops']} hops"
    holds = "" if need["holds_s"] is None else f"; told no longer, for {need['holds_s']:.0f} s yet"
    return f"{need['kind']} {need['what']} by port {need['port']}, {hops}{holds}"


def _port_lines(port: NeighbourDocument) -> list[str]:
    words = [f"port {port['port']} ({port['interface']}): {port['state']}"]
    if port["neighbour"] is not None:
        words[0] += f" {port['neighbour']} port {port['neighbour_port']}"
    if port["addresses"]:
        words.append(" ".join(port["addresses"]))
    words.append(f"for {port['for_s']:.1f} s" + (f" ({port['reason']})" if port["reason"] else ""))
    words.append(f"hello each {port['hello_ms']} ms" + (", carries control" if port["carries_control"] else ""))
    if port["round_trip_ms"] is not None:
        words.append(f"round trip {port['round_trip_ms']:.2f} ms")
    counters = port["counters"]
    words.append(f"{counters['received']} heard, {counters['missing']} missing, {counters['alarms']} alarms")
    if counters["bad_hash"]:
        words.append(f"{counters['bad_hash']} bad hash")
    return ["; ".join(words), *([f"  {port['remark']}"] if port["remark"] else [])]
