"""What shapes a bridge's ports: given to each when it is opened, changed when it is wanted otherwise, taken away.

Invariants: a port whose configuration did not change is not touched. What the kernel refuses is kept in ``errors`` and
costs the port nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from inband.errors import HostError
from inband.host.shaping import shape, unshape
from inband.vocabulary.queueing import PortQos

log = logging.getLogger(__name__)


class PortShaping:
    """By port name. ``errors`` says why some are not shaped as it is wanted."""

    def __init__(self, bridge: str) -> None:
        self.errors: dict[str, str] = {}
        self._bridge = bridge
        self._wanted: Mapping[str, PortQos] = {}
        self._indexes: dict[str, int] = {}

    def configure(self, wanted: Mapping[str, PortQos]) -> None:
        """Have open ports shaped so, and those that are opened later."""
        before, self._wanted = self._wanted, wanted
        for name in self._indexes:
            if before.get(name) != wanted.get(name):
                self._shape(name)

    def retry(self) -> None:
        """Try again what was refused."""
        for name in list(self.errors):
            self._shape(name)

    def opened(self, name: str, index: int) -> None:
        """A port has this interface now; what a switch that was killed has left there is taken over or away."""
        self._indexes[name] = index
        self._shape(name)

    def closed(self, name: str) -> None:
        """A port has no interface any more, which is given back as it was."""
        index = self._indexes.pop(name, None)
        self.errors.pop(name, None)
        if index is not None and name in self._wanted:
            try:
                unshape(index)
            except HostError as error:
                log.warning("bridge %s: port %s keeps its queues: %s", self._bridge, name, error)

    def _shape(self, name: str) -> None:
        qos = self._wanted.get(name)
        try:
            if qos is None:
                unshape(self._indexes[name])
            else:
                shape(self._indexes[name], qos)
        except HostError as error:
            self.errors[name] = str(error)
        else:
            self.errors.pop(name, None)
