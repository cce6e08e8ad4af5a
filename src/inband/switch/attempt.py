"""One attempt to reach a target: its addresses one after the other, and whichever answers first (RFC 8305).

The address that worked last comes first, then the families take turns. The next address is tried when one has failed or
has been silent for STAGGER_S. So an address that leads nowhere costs a tenth of a second, and an answer with one wrong
address among right ones costs nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence

from inband.switch.targets import Target
from inband.switch.transport import Connecting, Network
from inband.vocabulary.addresses import IpAddress
from inband.vocabulary.instant import Instant

# The least that RFC 8305, 5 allows: the paths are short, and a whole attempt has half a second at first.
STAGGER_S = 0.1


def in_dialling_order(addresses: Iterable[IpAddress], last_good: IpAddress | None) -> tuple[IpAddress, ...]:
    """The addresses, the one that worked last in front, the families of the others by turns."""
    given = list(dict.fromkeys(addresses))
    front = [address for address in given if address == last_good]
    rest = [address for address in given if address != last_good]
    families = ([a for a in rest if a.version == version] for version in dict.fromkeys(a.version for a in rest))
    turns = itertools.zip_longest(*families)
    return (*front, *(address for turn in turns for address in turn if address is not None))


class Attempt:
    """Connects to one of several places; None among them is the target's unix socket.

    ``answered`` is called with the first that is up and what holds its connection, ``in_vain`` when all have failed;
    ``failures`` says why of each.
    """

    def __init__(
        self,
        network: Network,
        clock: Callable[[], Instant],
        target: Target,
        places: Sequence[IpAddress | None],
        answered: Callable[[IpAddress | None, Connecting], None],
        in_vain: Callable[[], None],
    ) -> None:
        self.failures: dict[IpAddress | None, str] = {}
        self._network = network
        self._clock = clock
        self._target = target
        self._waiting = list(places)
        self._answered = answered
        self._in_vain = in_vain
        self._running: dict[IpAddress | None, Connecting] = {}
        self._next_at: Instant | None = None
        self._is_over = False

    def start(self) -> None:
        """Try the first place."""
        self._try_next()

    def next_deadline(self) -> Instant | None:
        """When ``run`` would try another place."""
        return self._next_at

    def run(self) -> None:
        """Try another place if it is time."""
        if self._next_at is not None and self._next_at <= self._clock():
            self._try_next()

    def cancel(self) -> None:
        """Give up; nothing more is reported."""
        self._is_over, self._next_at = True, None
        for connecting in self._running.values():
            connecting.cancel()
        self._running.clear()

    def connected(self, address: IpAddress | None) -> None:
        """A place answered."""
        if self._is_over or address not in self._running:
            return
        connecting = self._running.pop(address)
        self.cancel()
        self._answered(address, connecting)

    def failed(self, address: IpAddress | None, reason: str) -> None:
        """A place did not answer, or said no."""
        if self._is_over or self._running.pop(address, None) is None:
            return
        self.failures[address] = reason
        if self._waiting:
            self._try_next()
        elif not self._running:
            self._is_over = True
            self._in_vain()

    def _try_next(self) -> None:
        address = self._waiting.pop(0)
        self._next_at = self._clock() + STAGGER_S if self._waiting else None
        self._running[address] = self._network.connect(self._target, address, self)
