"""What a switch that died has left on this host and nobody is configured to take up again.

A port is given back: its frames must not vanish for ever in a filter that nobody knows of. A bridge's own interface is
named and left: it may carry the address by which somebody is logged in.

What must stay true: only what no live switch claims is looked at, and the claim is held while something is done to it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from inband.errors import HostError, UsageError
from inband.host import interfaces
from inband.runtime.claims import Claims

log = logging.getLogger(__name__)


def give_back_left_overs(names: Iterable[str], claims: Claims) -> None:
    """Look at these interfaces. Takes some 0.1 ms for each; what the kernel refuses is logged."""
    for name in names:
        try:
            made = None if name in claims else interfaces.made_of(name)
            if made is not None:
                _give_back(name, made == "port", claims)
        except UsageError:
            continue  # a live switch has it, or it is gone
        except HostError as error:
            log.warning("interface %s is the left-over of a switch that died, and stays so: %s", name, error)


def _give_back(name: str, is_port: bool, claims: Claims) -> None:
    claims.take(name)
    try:
        if is_port:
            ownership = interfaces.PortOwnership()
            ownership.own_port(name)  # which adopts the filter, and what it remembers
            ownership.release_port(name)
            log.warning("interface %s was a port of a switch that died, and is none any more: given back", name)
        else:
            text = "interface %s is left over by a bridge that is not configured any more: `ip link del %s` removes it"
            log.warning(text, name, name)
    finally:
        claims.release(name)
