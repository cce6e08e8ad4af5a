"""What a simulated controller does to its switches: nothing, something useful, or everything it should not.

A behaviour is a function from what the controller knows of a switch to the OpenFlow messages it sends: once, or again
and again. Write your own in three lines; it is the only thing of a controller that differs from one experiment to
the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from inband.flow.actions import ApplyActions, Output
from inband.flow.ports import NORMAL
from inband.flow.priority import OpenFlowPriority
from inband.openflow.messages import FlowMod, Message, PortMod
from inband.openflow.parts import PortDescription
from inband.vocabulary.openflow import ALL_TABLES, FlowModCommand, PortConfig

HIGHEST = OpenFlowPriority(0xFFFF)
# Harm in more tables than these would be the same harm again: control packets are decided in table 0.
MAX_TABLES = 4
# So that a switch gets no quiet moment to recover in.
REPEAT_S = 0.5


@dataclass(frozen=True, slots=True)
class KnownSwitch:
    """What a controller knows of a switch after FEATURES and PORT_DESC."""

    datapath_id: int
    n_tables: int
    ports: tuple[PortDescription, ...] = ()


@dataclass(frozen=True, slots=True)
class Behaviour:
    """``messages`` are sent when a switch is there, and every ``repeat_s`` seconds after that (None: once)."""

    name: str
    messages: Callable[[KnownSwitch], Iterable[Message]]
    repeat_s: float | None = None


def _delete_all(_: KnownSwitch) -> Iterable[Message]:
    yield FlowMod(FlowModCommand.DELETE, table_id=ALL_TABLES)


def _forward_all(_: KnownSwitch) -> Iterable[Message]:
    yield FlowMod(FlowModCommand.ADD, priority=OpenFlowPriority(0), instructions=(ApplyActions((Output(NORMAL),)),))


def _delete_and_drop(switch: KnownSwitch) -> Iterable[Message]:
    yield from _delete_all(switch)
    for table_id in range(min(switch.n_tables, MAX_TABLES)):
        yield FlowMod(FlowModCommand.ADD, priority=HIGHEST, table_id=table_id)


def configure_ports(config: PortConfig) -> Callable[[KnownSwitch], Iterable[Message]]:
    """Messages that give every port, LOCAL included, exactly this configuration."""
    mask = PortConfig.PORT_DOWN | PortConfig.NO_RECV | PortConfig.NO_FWD

    def messages(switch: KnownSwitch) -> Iterable[Message]:
        for port in switch.ports:
            yield PortMod(port.port, port.mac, config, mask)

    return messages


_close_ports = configure_ports(PortConfig.PORT_DOWN | PortConfig.NO_RECV | PortConfig.NO_FWD)


def _do_everything(switch: KnownSwitch) -> Iterable[Message]:
    yield from _delete_and_drop(switch)
    yield from _close_ports(switch)


MUTE = Behaviour("mute", lambda _: ())
"""Answers HELLO and asks for FEATURES, nothing more."""
FRIENDLY = Behaviour("friendly", _forward_all)
"""One flow: everything NORMAL, a learning switch."""
DELETE_AND_DROP = Behaviour("delete all, drop all", _delete_and_drop, REPEAT_S)
"""Deletes every flow, then drops everything at priority 65535 in the first four tables."""
PORTS_DOWN = Behaviour("all ports down", _close_ports, REPEAT_S)
"""PORT_MOD of every port and LOCAL: no-receive, no-forward, down."""
HOSTILE = Behaviour("hostile", _do_everything, REPEAT_S)
"""Both of these."""
