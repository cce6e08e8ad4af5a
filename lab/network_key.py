"""A network-key for switches in a laboratory."""

from __future__ import annotations

import base64
import os
from pathlib import Path

from lab.inband import InbandSwitch
from lab.net import Lab
from lab.switch import Switch


def make_key(lab: Lab) -> Path:
    """A new key, in a file that is gone with the laboratory."""
    key = lab.folder / "key"
    key.write_bytes(base64.b64encode(os.urandom(32)))
    key.chmod(0o600)
    return key


def with_key(switch: Switch, key: Path) -> Switch:
    """Have a switch start with this key if it can have one."""
    if isinstance(switch, InbandSwitch):
        switch.network_key = key
    return switch
