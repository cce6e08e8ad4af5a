"""Mininet in namespaces of its own: it cleans up with `killall` and `rm /tmp/*.log`, which must not meet others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lab.ovs import SCHEMA

REPOSITORY = Path(__file__).parent.parent
PYTHON = "/usr/bin/python3"
"""Debian's: for it the package `mininet` is installed."""

# An empty /tmp where that does not hide the clone, an empty /run with what controllers and `ip netns` look for.
_PREPARE = """
case "$1" in /tmp/*) ;; *) mount -t tmpfs none /tmp ;; esac
mount -t tmpfs none /run
mkdir -p /run/netns /run/openvswitch
ip link set lo up
shift
"$@"
exit $?  # a last command would take the shell's place, and process 1 has to reap
"""

# What Debian's package of Open vSwitch starts, with this switch in place of ovs-vswitchd, in the usual places.
_FOLLOW = """
ovsdb-tool create /run/openvswitch/conf.db "$1"
ovsdb-server /run/openvswitch/conf.db --remote=punix:/run/openvswitch/db.sock --detach --no-chdir --pidfile -vsyslog:off
ovs-vsctl --no-wait init
inband run --run-dir /run/inband --state-dir /run/inband-state --ovs-run-dir /run/openvswitch \\
    --ovsdb unix:/run/openvswitch/db.sock >/run/inband.log 2>&1 &
switch=$!
for _ in $(seq 200); do test -e /run/inband/inband.ctl && break; sleep 0.05; done
shift
"$@"
code=$?
kill "$switch" && wait "$switch" || { code=99; cat /run/inband.log; }
exit "$code"
"""


def following(*argv: str) -> tuple[str, ...]:
    """For ``run_alone``: the command, beside an ovsdb-server and `inband run` that follows it.

    It fails with the switch's log when the switch has ended before, or badly.
    """
    return ("bash", "-c", _FOLLOW, "bash", str(SCHEMA), *argv)


def run_alone(*argv: str, timeout_s: float) -> str:
    """Run a command in namespaces of its own (network, processes, mounts); returns what it prints.

    Raises AssertionError with that text when it fails, or takes longer than ``timeout_s``; nothing of it goes on then.
    """
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    alone = ["unshare", "--net", "--pid", "--mount", "--fork", "--mount-proc", "--kill-child=KILL"]
    process = subprocess.Popen(
        [*alone, "bash", "-c", _PREPARE, "bash", str(REPOSITORY), *argv],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        cwd=REPOSITORY, env=dict(os.environ, PATH=path),
    )  # fmt: skip
    try:
        said, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        said, _ = process.communicate()
        raise AssertionError(f"{' '.join(argv)} took over {timeout_s:g} s:\n{said}") from None
    assert process.returncode == 0, f"{' '.join(argv)} failed:\n{said}"
    return said
