"""Files that cannot be read when the switch starts, or goes back: it does without them, and says so.

The machine may be reached through the switch alone. So a lost certificate costs the controllers that need it, and a
lost network-key the neighbours, but never the network, nor the undoing of a change that was not confirmed. A change
(``set``, ``reload``) while such a file is configured is refused instead: whoever makes it is there to read why.
``reload`` takes the file when it is back.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from inband.errors import UsageError
from inband.runtime.network_key import read_network_keys
from inband.runtime.tls import without_tls_if_unreadable
from inband.switch.config import BridgeConfig, SwitchConfig

log = logging.getLogger(__name__)

_ADVICE = "put the file right, then `inband reload`"


class UnreadableFiles:
    """Those of all bridges; each is said once until it is read again."""

    def __init__(self) -> None:
        self._said: frozenset[str] = frozenset()

    def leave_out(self, config: SwitchConfig) -> SwitchConfig:
        """The configuration as far as its files can be read."""
        problems: set[str] = set()
        bridges = tuple(_usable(bridge, problems) for bridge in config.bridges)
        for problem in sorted(problems - self._said):
            log.error("%s: %s", problem, _ADVICE)
        self._said = frozenset(problems)
        return replace(config, bridges=bridges)


def _usable(bridge: BridgeConfig, problems: set[str]) -> BridgeConfig:
    bridge, problem = without_tls_if_unreadable(bridge)
    if problem is not None:
        problems.add(f"{problem}; its controllers that use TLS are left out")
    try:
        read_network_keys(bridge)
    except UsageError as error:
        problems.add(f"{error}; it has no neighbours")
        bridge = replace(bridge, network_keys=(), neighbours=False)
    return bridge
