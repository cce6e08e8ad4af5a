"""What could not be had of a bridge of which nothing is refused as a whole: see ``runtime.front``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from inband.errors import HostError, InbandError
from inband.switch.targets import Target


@dataclass(slots=True)
class BridgeRefusals:
    """Why not: ``ports`` by interface, ``places`` to listen at, and everything else of the bridge."""

    ports: dict[str, str] = field(default_factory=dict)
    places: dict[Target, str] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)

    def refuse_port(self, port: str, error: InbandError) -> None:
        """A port cannot be had."""
        self.ports[port] = str(error)

    def refuse_place(self, target: Target, error: HostError) -> None:
        """Nobody can call there."""
        self.places[target] = error.reason

    def refuse(self, error: InbandError) -> None:
        """Something else cannot be had."""
        self.others.append(str(error))

    def __bool__(self) -> bool:
        return bool(self.ports or self.places or self.others)


@contextmanager
def told(refused: BridgeRefusals | None) -> Iterator[None]:
    """What cannot be had inside is told to ``refused``, if there is one, instead of raised."""
    try:
        yield
    except InbandError as error:
        if refused is None:
            raise
        refused.refuse(error)
