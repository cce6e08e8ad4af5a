"""The switch's part of ``inband capture``: which ports there are, and why a packet goes where it goes.

A question names a port and the packet's bytes. The answer is worked out by the tables as they are now, and changes,
learns and counts nothing; where it holds for other packets too, it says for which, so that a busy flow is asked about
once in a while and not packet by packet.

During a capture known unicast may not skip the port that it leaves by (``peer_redirect``): it would not be
seen there. That ends by itself WATCHED_S after the last question.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import TypedDict

from inband.errors import UsageError
from inband.flow.fields import FIELDS
from inband.flow.ports import LOCAL
from inband.flow.text import format_actions
from inband.pipeline.ports import SwitchPort
from inband.pipeline.trace import Trace
from inband.pipeline.translation import Translation
from inband.runtime.bridge_runner import BridgeRunner
from inband.runtime.flow_documents import format_source
from inband.runtime.stepping import next_turn
from inband.runtime.tracing import packet_of, rule_in_words
from inband.vocabulary.addresses import IpAddress

WATCHED_S = 5.0
# A decision takes 100 to 200 us: so many in a row, and so many in one question.
AT_ONCE = 8
MAX_QUESTION = 64


class CapturedPort(TypedDict):
    """A port: its number and name in OpenFlow's words, and the interface where its packets are seen.

    Those that are not wanted are watched too, for a packet that leaves by a wanted one came in by one of them.
    """

    wanted: bool
    number: int
    name: str
    interface: str


class CaptureDocument(TypedDict):
    """What a capture begins with. ``pid``: in whose network namespace the interfaces are."""

    pid: int
    ports: list[CapturedPort]


class Decided(TypedDict):
    """A decision in words. It holds for every packet whose key is ``value`` under ``mask`` (hexadecimal), if given."""

    comment: str
    value: str | None
    mask: str | None


def begin(runner: BridgeRunner, wanted: Sequence[str]) -> str:
    """The document of all ports; ``wanted`` by name or number, all if none is named. Raises UsageError."""
    runner.watch(WATCHED_S)
    ports = list(runner.bridge.ports)
    names = {str(port.number) for port in ports} | {port.name for port in ports}
    for name in wanted:
        if name not in names:
            raise UsageError(f"capture: there is no port {name!r} (ports: {', '.join(port.name for port in ports)})")
    document: CaptureDocument = {"pid": os.getpid(), "ports": [_port(runner, port, wanted) for port in ports]}
    return json.dumps(document) + "\n"


def _port(runner: BridgeRunner, port: SwitchPort, wanted: Sequence[str]) -> CapturedPort:
    return {
        "wanted": not wanted or port.name in wanted or str(port.number) in wanted,
        "number": int(port.number),
        "name": port.name,
        "interface": runner.local.pair.inner if port.number == LOCAL else port.name,
    }


async def decide(runner: BridgeRunner, packets: Sequence[str], names: Mapping[IpAddress, str]) -> str:
    """A decision for each ``PORT:HEX``, as a list. Raises UsageError; ``names`` says what remotes are called."""
    if len(packets) > MAX_QUESTION:
        raise UsageError(f"capture/decide: {len(packets)} packets at a time: ask for {MAX_QUESTION} at most")
    runner.watch(WATCHED_S)
    decided = []
    for index, packet in enumerate(packets):
        if index % AT_ONCE == 0:
            await next_turn()
        port, _, data = packet.partition(":")
        decided.append(_decide(runner, port, data, names))
    return json.dumps(decided) + "\n"


def _decide(runner: BridgeRunner, port: str, data: str, names: Mapping[IpAddress, str]) -> Decided:
    bridge = runner.bridge
    try:
        key, frame, _ = packet_of(["hex", data, port], {each.name: each.number for each in bridge.ports})
    except UsageError as error:  # the port went away meanwhile
        return {"comment": str(error), "value": None, "mask": None}
    translation = bridge.pipeline.translate(key, frame, bridge.now, trace=Trace())
    comment = _comment(runner, translation, names)
    if not translation.cacheable:
        return {"comment": comment, "value": None, "mask": None}
    mask = translation.mask | FIELDS["in_port"].mask
    return {"comment": comment, "value": f"{key & mask:x}", "mask": f"{mask:x}"}


def _comment(runner: BridgeRunner, translation: Translation, names: Mapping[IpAddress, str]) -> str:
    dropped = f"drop ({translation.drop_reason})" if translation.drop_reason else "drop"
    parts = [f"verdict: {format_actions(translation.actions) or dropped}"]
    if translation.hidden is not None and translation.hidden.origin is not None:
        parts.append(f"decided by: {rule_in_words(runner.bridge, translation.hidden.origin, names)}")
    parts += [f"rule: {format_source(table_id, flow)}" for table_id, flow in translation.credits]
    return "; ".join(parts)
