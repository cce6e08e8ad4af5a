"""A row of four switches with differing controllers and gateways, and a fifth one that takes what its neighbours use.

With a key, on both datapaths; Open vSwitch has no word of what is behind it, and nothing like ``auto``.
"""

from __future__ import annotations

from functools import cache

from bench.figures import Effort, Figure, Row, shown
from lab.behind import behind
from lab.inband import InbandSwitch, OnDatapath
from lab.switch import SwitchMaker

GOAL_S, UP_S, LEASE_S = 1.0, 8.0, 20.0
_DATAPATHS = ("userspace", "ebpf")


def rows(effort: Effort) -> list[Row]:
    """Return the rows, in their order; they cost the same whatever the effort."""
    row = "row of 4, four controllers, "
    return [
        Row(f"{row}two gateways, key: all up after the last is told", "1 s", lambda make: _up(make, by_dhcp=False)),
        Row(f"{row}key: a fifth with auto, after its link", "1 s", lambda make: _fifth(make, by_dhcp=False)),
        Row(f"{row}key, by DHCP: all up after the last is told", "1 s", lambda make: _up(make, by_dhcp=True)),
        Row(f"{row}key, by DHCP: a fifth with auto, after its link", "1 s", lambda make: _fifth(make, by_dhcp=True)),
    ]


def _up(make: SwitchMaker, *, by_dhcp: bool) -> Figure:
    if make is InbandSwitch:
        return _figure([_measured(datapath, by_dhcp)[0] for datapath in _DATAPATHS])
    with behind(make, by_dhcp=by_dhcp) as made:
        return _figure([made.connect(UP_S)])


def _fifth(make: SwitchMaker, *, by_dhcp: bool) -> Figure:
    if make is not InbandSwitch:
        return Figure("-", False)
    return _figure([_measured(datapath, by_dhcp)[1] for datapath in _DATAPATHS])


@cache
def _measured(datapath: str, by_dhcp: bool) -> tuple[float | None, float | None]:
    """How long the row takes, and then the fifth one; None: it does not come up."""
    make = OnDatapath(datapath)
    with behind(make, by_dhcp=by_dhcp) as made:
        if by_dhcp and not made.have_addresses(LEASE_S):
            return None, None
        up_s = made.connect(UP_S)
        made.order("drop")
        return up_s, made.plug_in(make, UP_S)[1]


def _figure(seconds: list[float | None]) -> Figure:
    found = [each for each in seconds if each is not None]
    if len(found) < len(seconds):
        return Figure("never up", False)
    names = _DATAPATHS if len(found) > 1 else ("",)
    text = ", ".join(f"{shown(each)} {name}".strip() for each, name in zip(found, names, strict=True))
    return Figure(text, max(found) <= GOAL_S, {"up_s": found})
