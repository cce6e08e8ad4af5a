"""LOCAL's questions for its configuration, asked once more when switches on the way have begun to let them pass.

A DHCP client asks, and then waits for seconds. If it asks while its neighbours do not know yet that it is a switch's,
or before they are there, that is a second lost or twenty. So what LOCAL has asked of late without an answer is sent
again some hundredths of a second after it was asked for the first time, and after neighbours told of a new need, as
when a switch has come; not after each failure, or everybody would ask then.

Invariants: three copies for each of these, one round in a second; nothing that is older than FRESH_S; no two copies are
the same to the bit, or storm guards on the way would drop them (the padding differs).
"""

from __future__ import annotations

from collections.abc import Callable

from inband.flow.fields import FIELDS, FlowKey
from inband.packet.dhcp import is_request
from inband.vocabulary.instant import Instant
from inband.vocabulary.numbers import DHCP_CLIENT, DHCPV6_CLIENT, DHCPV6_SERVER, ROUTER_SOLICITATION

AGAIN_S = (0.05, 0.2, 0.5)
ROUND_S, FRESH_S = 1.0, 60.0
_MIN_FRAME, _NUMBER_BYTES = 60, 4
_UDP_SRC, _UDP_DST, _ICMPV6_TYPE = FIELDS["udp_src"], FIELDS["udp_dst"], FIELDS["icmpv6_type"]


def asks_for_configuration(key: FlowKey) -> bool:
    """Whether a packet from LOCAL is a DHCP or DHCPv6 request, or a router solicitation."""
    if _ICMPV6_TYPE.get(key) == ROUTER_SOLICITATION or is_request(key):
        return True
    return _UDP_SRC.get(key) == DHCPV6_CLIENT and _UDP_DST.get(key) == DHCPV6_SERVER


class Repeating:
    """One bridge's. ``inject`` processes a frame as if LOCAL had sent it."""

    def __init__(self, inject: Callable[[bytes], None]) -> None:
        self.due: Instant | None = None
        self._inject = inject
        self._asked: dict[tuple[int, int], tuple[bytes, Instant]] = {}
        self._plan: list[Instant] = []
        self._round_at: Instant = float("-inf")
        self._count = 0
        self._is_injecting = False

    def asks(self, data: bytes, key: int, now: Instant) -> bool:
        """LOCAL asks, which it does not if this is one of our copies; whether it does."""
        if self._is_injecting:
            return False
        self._asked[_UDP_SRC.get(key), _ICMPV6_TYPE.get(key)] = (data, now)
        return True

    def begin(self, now: Instant) -> None:
        """More switches than before let it pass: ask again what is not answered."""
        if self._asked and now - self._round_at >= ROUND_S:
            self._round_at, self._plan = now, [now + later for later in AGAIN_S]
            self.due = self._plan[0]

    def has_lease(self) -> None:
        """A DHCP server has answered what LOCAL asked."""
        self._asked.pop((DHCP_CLIENT, 0), None)

    def run(self, now: Instant) -> None:
        """Send what is due."""
        if self.due is None or self.due > now:
            return
        self._plan = [each for each in self._plan if each > now]
        self.due = self._plan[0] if self._plan else None
        self._is_injecting = True
        for data, asked_at in list(self._asked.values()):
            if now - asked_at < FRESH_S:
                self._count += 1
                number = (self._count % (1 << 8 * _NUMBER_BYTES)).to_bytes(_NUMBER_BYTES, "big")
                self._inject(data.ljust(_MIN_FRAME - _NUMBER_BYTES, b"\0") + number)
        self._is_injecting = False
