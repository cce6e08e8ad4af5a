"""Runs a decision's actions on a frame: the one meaning of datapath actions, for every datapath in this process.

Frames are values, so "a copy from here on" (Clone) and "the frame as it was at that point" (ToController) cost
nothing and cannot go wrong. The queue is a value too: it belongs to this run of the actions, not to a port.

Invariants: every output, also one to a port that is not there, reaches the outlet; whether it can be sent
is the outlet's business and ends in one of its counters. Reserved ports other than LOCAL were worked out by the
pipeline and never arrive here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, assert_never

from inband.flow.actions import Clone, DatapathAction, HeaderAction, Meter, Output, PopQueue, SetQueue, ToController
from inband.flow.ports import PortNo
from inband.packet.edit import apply
from inband.packet.frame import Frame


class Outlet(Protocol):
    """Where frames go: the ports of a datapath, and its client."""

    def output(self, port: PortNo, queue: int | None, frame: Frame) -> None:
        """Send a frame out of a port, by a queue of it (None: no particular one). Losses are counted, not raised."""

    def packet_in(self, in_port: PortNo, frame: Frame, action: ToController) -> None:
        """Hand a frame to the controllers."""

    def meter(self, meter_id: int, frame: Frame) -> Frame | None:
        """Count a frame against a meter: it as it goes on, or None if it is dropped, which is counted.

        A meter that is not there lets everything pass.
        """


def execute(
    in_port: PortNo, frame: Frame, actions: Iterable[DatapathAction], outlet: Outlet, queue: int | None = None
) -> None:
    """Run the actions in order (OpenFlow 1.3.5, 5.12: an action list); ``queue`` is the one they start with."""
    for action in actions:
        match action:
            case Output():
                outlet.output(action.port, queue, frame)
            case ToController():
                outlet.packet_in(in_port, frame, action)
            case SetQueue():
                queue = action.queue_id
            case PopQueue():
                queue = None
            case Clone():
                execute(in_port, frame, action.actions, outlet, queue)
            case Meter():
                passed = outlet.meter(action.meter_id, frame)
                if passed is None:
                    return
                frame = passed
            case _ if isinstance(action, HeaderAction):
                frame = apply(frame, action)
            case _:
                assert_never(action)


def plain_outputs(actions: Iterable[DatapathAction]) -> tuple[tuple[PortNo, int | None], ...] | None:
    """(port, queue) of every output, in order, if the actions do nothing but send the frame as it came; else None.

    A datapath can send such frames without looking into them.
    """
    outputs: list[tuple[PortNo, int | None]] = []
    queue: int | None = None
    for action in actions:
        match action:
            case Output():
                outputs.append((action.port, queue))
            case SetQueue():
                queue = action.queue_id
            case PopQueue():
                queue = None
            case ToController() | Clone() | Meter():
                return None
            case _ if isinstance(action, HeaderAction):
                return None
            case _:
                assert_never(action)
    return tuple(outputs)
