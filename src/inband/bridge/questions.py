"""Frames that a bridge sends of its own accord from the local port: questions for neighbours, for all or for one."""

from __future__ import annotations

from collections.abc import Callable

from inband.control.engine import Engine
from inband.control.questions import question
from inband.flow.fields import FlowKey
from inband.flow.ports import LOCAL, PortNo
from inband.host.state import KernelState
from inband.packet.frame import Frame
from inband.packet.parse import parse
from inband.vocabulary.addresses import IpAddress, Mac


class Questions:
    """``local_index`` is the kernel's index of LOCAL; ``upcall`` decides about a frame."""

    def __init__(
        self,
        engine: Engine,
        kernel: KernelState,
        upcall: Callable[[PortNo, Frame, FlowKey], None],
    ) -> None:
        self.local_index: int | None = None
        self._engine, self._kernel, self._upcall = engine, kernel, upcall

    def ask(self, index: int, address: IpAddress, *, at: Mac | None = None) -> None:
        """Ask for a neighbour from the local port, with a question of our own: all, or who is at this MAC address."""
        mac = self._engine.local_mac
        if index == self.local_index and mac is not None:
            frame = question(address, mac, self._kernel.addresses_of(index), at=at)
            if frame is not None:
                self.inject(frame)

    def inject(self, data: bytes) -> None:
        """Process a frame as if the local port had sent it."""
        self._upcall(LOCAL, Frame(data), parse(data, LOCAL))
