"""A network-key for switches in a laboratory."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path

from lab.inband import InbandSwitch
from lab.net import Lab
from lab.switch import Switch, SwitchMaker
from lab.topology import Site

KEY_FILE = "key"


def make_key(lab: Lab) -> Path:
    """A new key, in a file that is gone with the laboratory."""
    key = lab.folder / KEY_FILE
    key.write_bytes(base64.b64encode(os.urandom(32)))
    key.chmod(0o600)
    return key


def with_key(switch: Switch, key: Path) -> Switch:
    """Have a switch start with this key if it can have one."""
    if isinstance(switch, InbandSwitch):
        switch.network_key = key
    return switch


@dataclass
class Keyed:
    """Makes the switches of a laboratory with one key, if they can have one: see :class:`lab.switch.SwitchMaker`."""

    make: SwitchMaker
    name: str = "inband"
    offloads: bool = True

    def __call__(self, lab: Lab, site: Site) -> Switch:
        """Make one; it is not started yet."""
        key = lab.folder / KEY_FILE
        return with_key(self.make(lab, site), key if key.exists() else make_key(lab))
