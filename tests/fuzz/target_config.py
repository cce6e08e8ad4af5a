"""Configuration files: read, or refused with words; nothing else.

What was read is consistent: targets are read again as they are printed, and the options of ``inband run`` alone, or a
reload, make the same of it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from inband.errors import UsageError
from inband.runtime.changes import with_change
from inband.runtime.config_keys import KEYS
from inband.runtime.config_load import load, read_file
from inband.switch.config import RunOptions, SwitchConfig
from inband.switch.manager_targets import parse_manager
from inband.switch.targets import parse_target
from tests.fuzz.fuzzing import Target
from tests.unit.runtime.test_config import FULL

TARGETS = """
manager = ["from:tcp:192.0.2.0/24:22", "from:udp:[2001:db8::]/64:161", "udp:log.example.net:514", "tcp:[fe80::1%br0]:9"]

[[bridge]]
name = "br0"
controller = ["tls:[2001:db8::1],out-of-band", "ptcp:6653:[::1]", "unix:/x", "tcp:[fe80::1%br0]"]
address = ["2001:db8::2/64"]
"""


def check(data: bytes) -> None:
    """Read a file, and what it says again in other ways."""
    with tempfile.NamedTemporaryFile(prefix="inband-fuzz-", suffix=".toml") as file:
        file.write(data)
        file.flush()
        path = Path(file.name)
        config = _read(path)
        if config is None:
            return
        for target in (each for bridge in config.bridges for each in bridge.controllers):
            assert parse_target(str(target)) == target, f"{target} is read as something else"
        for manager in config.managers:
            assert parse_manager(str(manager)) == manager, f"{manager} is read as something else"
        loaded = load(RunOptions(config_file=path), {})
        assert loaded.bridges == config.bridges
        assert with_change(loaded, "reload", ()) == loaded


def _read(path: Path) -> SwitchConfig | None:
    """What a file says; None when it is refused in words that name it."""
    try:
        return read_file(path)
    except UsageError as refusal:
        if not str(refusal).startswith((f"{path}:", f"cannot read {path}")):
            raise
        return None


def seeds() -> Iterable[bytes]:
    """A file with every key, each key alone, and all kinds of targets."""
    yield FULL.encode()
    yield TARGETS.encode()
    head, *lines = FULL.partition("[[bridge]]")[2].split("\n\n")[0].splitlines()[1:]
    for line in lines:
        yield f"[[bridge]]\n{head}\n{line}\n".encode()


_SYNTAX = (
    "[[bridge]]",
    'name="b"',
    "tcp:",
    "udp:",
    "from:",
    "/24",
    "ptcp:",
    "unix:",
    "[::1]",
    "%br0",
    ",out-of-band",
    '"""',
    "\\u",
)
WORDS = tuple(word.encode() for word in (*KEYS, *_SYNTAX))
TARGET = Target(check, seeds, WORDS)
