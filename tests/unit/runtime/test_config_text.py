"""What `inband save` writes is read as what it was made of."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from inband.runtime.config_document import config_of, document_of
from inband.runtime.config_load import read_document
from inband.runtime.config_text import toml_of
from inband.switch.config import SwitchConfig

PLAIN = 'manager = "from:tcp:192.0.2.9:22"\n\n[[bridge]]\nname = "br0"\nport = ["eth1", "eth2=7,tag=10"]\n'
FULL = """
manager = ["tcp:192.0.2.8:6640"]
dns-server = ["192.0.2.53", "2001:db8::53"]
state-dir = "/srv/a \\"state\\""
metrics = "[::1]:9000"
log-format = "json"

[[bridge]]
name = "br0"
port = ["eth1", "eth2=7,tag=10", "eth3,trunks=10-19+30"]
controller = ["tcp:192.0.2.1:6653", "tcp:ctl.example:6653,out-of-band"]
fail-mode = "secure"
address = ["192.0.2.2/24", "2001:db8::2/64"]
gateway = "192.0.2.1"
queue = 3
rstp = true
rstp-priority = 4096
datapath-id = "0000000000000007"
mac = "02:00:00:00:00:07"
network-key = ["/etc/inband.key"]
inactivity-probe = 7

[[bridge]]
name = "br1"
in-band = false
adopt = "eth9"
port = "eth9"
"""


def read(text: str) -> SwitchConfig:
    return read_document(tomllib.loads(text), Path("some.toml"), text)


@pytest.mark.parametrize("text", [PLAIN, FULL, ""])
def test_what_was_read_and_written_is_the_same(text: str) -> None:
    config = replace(read(text), run_dir=Path("/run/inband"))

    written = toml_of(document_of(config))

    assert read(written) == config == config_of(document_of(config))
    assert toml_of(document_of(read(written))) == written


def test_numbers_and_truths_are_written_as_such_and_defaults_are_not() -> None:
    lines = toml_of(document_of(read(FULL))).splitlines()

    assert {"queue = 3", "rstp = true", "in-band = false", 'fail-mode = "secure"'} <= set(lines)
    assert not any(line.startswith(("peer-redirect", "flow-limit", "max-backoff")) for line in lines)
