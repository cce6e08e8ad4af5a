"""``--tag``, ``--trunks`` and ``--vlan-mode`` of the verbs about ports: the words of Open vSwitch's columns.

What they mean, and which of them go together, the switch says.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import click

_MODES = ("access", "trunk", "native-tagged", "native-untagged")


def with_vlans(function: Callable[..., None]) -> Callable[..., None]:
    """Options that a verb gets as part of its ``interface``, as the configuration file has them: ``eth2,tag=10``."""
    tag = click.option("--tag", metavar="VLAN", help="The VLAN of an access port, or the native one of a trunk.")
    trunks = click.option("--trunks", metavar="VLANS", help="The VLANs of a trunk, as in 10-19+30.")
    mode = click.option("--vlan-mode", type=click.Choice(_MODES), help="What of these it is, where that is not clear.")

    @functools.wraps(function)
    def run(*, interface: str, tag: str | None, trunks: str | None, vlan_mode: str | None, **given: object) -> None:
        words = {"tag": tag, "trunks": trunks, "vlan-mode": vlan_mode}
        said = [interface, *(f"{name}={value}" for name, value in words.items() if value is not None)]
        function(interface=",".join(said), **given)

    return tag(trunks(mode(run)))
