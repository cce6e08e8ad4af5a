"""docs/ring.md: its script makes a ring, its commands are typed as they are there, and say what it says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from lab.mininet import REPOSITORY, run_alone

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(360)]

PAGE = (Path(REPOSITORY) / "docs/ring.md").read_text()
WAIT_S = 60
# Waits until a command says what it is to say. What differs from run to run is written as N.
AWAIT = rf"""
. examples/ring.sh
say() {{ sed -E 's/[0-9a-f]{{16}}/N/g; s/for [0-9.]+ s/for N s/; s/; else.*//; /s5/d'; }}
await() {{
    for _ in $(seq {WAIT_S}); do said=$(eval "$2" 2>&1 | say); [ "$said" = "$1" ] && return; sleep 1; done
    printf '%s: %s\n' "$2" "$said"; exit 1
}}
"""


def normal(text: str) -> str:
    """As ``say`` has it: s5 is as far from the controller on both ways, and goes by the one that it knew first."""
    whole = (re.sub(r"; else.*", "", line) for line in text.splitlines())
    lines = [line for line in whole if "s5" not in line]
    return re.sub(r"for [\d.]+ s", "for N s", re.sub(r"[0-9a-f]{16}", "N", "\n".join(lines)))


def typed() -> list[tuple[str, str]]:
    """The commands of the page's transcripts, each with what it says."""
    blocks = re.findall(r"^```\n(# .*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    parts = [part for block in blocks for part in re.split(r"^# ", block, flags=re.MULTILINE)[1:]]
    return [(command, said.rstrip("\n")) for command, _, said in (part.partition("\n") for part in parts)]


def test_the_page_says_what_happens() -> None:
    steps = [
        f"await {shlex.quote(normal(said))} {shlex.quote(command)}" if said else command for command, said in typed()
    ]

    assert len(steps) >= 5
    run_alone("bash", "-c", "\n".join([AWAIT, *steps]), timeout_s=300)
