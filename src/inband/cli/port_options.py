"""What the verbs about ports say of a port: its VLANs and its part in the spanning tree.

What they mean, and which of them go together, the switch says.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

_WORDS = ("tag", "trunks", "vlan-mode", "rstp-cost", "rstp-priority")
_MODES = ("access", "trunk", "native-tagged", "native-untagged")


def with_port_words(function: Callable[..., None]) -> Callable[..., None]:
    """Options that a verb gets as part of its ``interface``, as the configuration file has them: ``eth2,tag=10``."""
    tag = click.option("--tag", metavar="VLAN", help="The VLAN of an access port, or the native one of a trunk.")
    trunks = click.option("--trunks", metavar="VLANS", help="The VLANs of a trunk, as in 10-19+30.")
    mode = click.option("--vlan-mode", type=click.Choice(_MODES), help="What of these it is, where that is not clear.")

    cost = click.option("--rstp-cost", metavar="COST", help="The path cost in the spanning tree; else by its speed.")
    rank = click.option("--rstp-priority", metavar="PRIORITY", help="Its priority in the spanning tree, as in 112.")
    edge = click.option("--rstp-edge", is_flag=True, help="No bridge is behind it: it forwards at once.")

    @functools.wraps(function)
    def run(*, interface: str, rstp_edge: bool, **given: Any) -> None:
        words = {word: given.pop(word.replace("-", "_")) for word in _WORDS}
        words["rstp-edge"] = "on" if rstp_edge else None
        said = [interface, *(f"{name}={value}" for name, value in words.items() if value is not None)]
        function(interface=",".join(said), **given)

    return tag(trunks(mode(cost(rank(edge(run))))))
