"""`python -m tests.conformance.mininet_suite [TEST...]`: Mininet's own tests of its examples, on our switch.

Once with our class for Mininet in the place of its OVSSwitch, which a ``sitecustomize`` puts there, and once with
Mininet as it is, which finds an ovsdb-server, and `inband run --ovsdb` where ovs-vswitchd would be. Each test file runs
in namespaces of its own. What fails is held against WHY; the table in conformance/mininet.txt says which pass, which
cannot, and why.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from inband.mininet import CUSTOM_FILE
from lab.mininet import PYTHON, REPOSITORY, following, run_alone

TESTS = Path("/usr/share/doc/mininet/examples/test")
RESULT = REPOSITORY / "conformance/mininet.txt"
TIMEOUT_S = 150.0
CLASS, UNMODIFIED = "inband", "OVSSwitch"
"""The columns: our class, and Mininet's own behind a database."""

# Mininet's names, and ours for them. Debian has no program `python`, and its Mininet no reference `controller`.
IN_ITS_PLACE = f"""
import sys
sys.path.append({str(CUSTOM_FILE.parent)!r})
try:
    import mininet.node, mininet.net
except ImportError:
    pass
else:
    from inband_mininet import InbandBridge, InbandSwitch
    mininet.node.OVSSwitch = mininet.node.OVSKernelSwitch = InbandSwitch
    mininet.node.OVSBridge = InbandBridge
    made = mininet.net.Mininet.__init__
    made.__defaults__ = tuple(
        InbandSwitch if getattr(each, "__name__", "") == "OVSSwitch" else each for each in made.__defaults__
    )
"""
# The reference controller speaks OpenFlow 1.0 alone, in which what no flow matches is sent up though a test deletes all
# flows; it listens on port 6633 where no port is said.
PROGRAMS = {
    "python": f'exec {PYTHON} "$@"',
    "controller": 'for word; do shift; set -- "$@" "${word/%ptcp:/ptcp:6633}"; done; '
    'exec ovs-testcontroller -O OpenFlow10 "$@"',
}

# ovs-testcontroller takes 16 switches (with Open vSwitch, too, Mininet waits for ever for the others), and this test
# has 33: its controller is the one of our examples. Up to ten minutes.
MANY_SWITCHES = {
    "controller": f"for word; do :; done; OSKEN_HUB_TYPE=eventlet exec {sys.executable} "
    f'{REPOSITORY}/examples/learning_switch.py "${{word#ptcp:}}"',
}
TIMEOUTS_S = {"test_tree1024": 570.0}

IPERF = "Mininet 2.3.0 waits for ever for the second result of iperf 2.1.8, with any switch (two hosts on a link too)"
OFDATAPATH = "runs the reference switch ofdatapath, which Debian does not have"
VSCTL = "asks ovs-vsctl, which speaks to a database: see the other column"
ALWAYS: Mapping[str, str] = {
    "test_baresshd": "no sshd is installed",
    "test_sshd": "no sshd is installed",
    "test_cluster": "needs a cluster of machines",
    "test_clusterSanity": "needs a cluster of machines",
    "test_controlnet": OFDATAPATH,
    "test_cpu": IPERF,
    "test_emptynet": IPERF,
    "test_intfoptions": IPERF,
    "test_limit": IPERF,
    "test_linearbandwidth": IPERF,
    "test_nat": "pings a host of the Internet",
    "test_treeping64": OFDATAPATH,
    "test_vlanhost": "needs the kernel's module 8021q",
}
WHY: Mapping[str, Mapping[str, str]] = {
    CLASS: {
        **ALWAYS,
        "test_tree1024": "33 processes that hear of 1,088 interfaces are too much for two cores: see the other column",
        **dict.fromkeys(("test_controllers", "test_mobility", "test_numberedports", "test_scratchnet"), VSCTL),
    },
    UNMODIFIED: ALWAYS,
}
"""Why a file cannot pass here, whatever the switch, or by the column."""

PART: Mapping[str, tuple[str, str]] = {
    "test_scratchnet": ("test_scratchnet.testScratchNet.testPingKernel", f"but for testPingUser, which {OFDATAPATH}"),
}
"""Files of which a part can pass: that part, and why not the rest."""

Verdict = tuple[str, str]
"""``passes``, ``cannot`` or ``fails``, and what there is to say of it."""


def main(names: Sequence[str]) -> None:
    """Run them, and write the table when none was named."""
    found = sorted(path.stem for path in TESTS.glob("test_*.py") if not names or path.stem in names)
    rows: dict[str, list[Verdict]] = {}
    for name in found:
        rows[name] = [verdict(name, column) for column in (CLASS, UNMODIFIED)]
        print(_line(name, rows[name]), flush=True)
    if not names:
        RESULT.write_text(table(rows))


def table(rows: Mapping[str, Sequence[Verdict]]) -> str:
    """The table for people, by test and column."""
    passed = [sum(each[column][0] == "passes" for each in rows.values()) for column in (0, 1)]
    lines = [
        f"Mininet 2.3.0's tests of its examples, {len(rows)} files: {passed[0]} pass with `inband mininet`,",
        f"{passed[1]} with Mininet's own OVSSwitch, an ovsdb-server and `inband run --ovsdb`.",
        "",
        f"{'':24} {CLASS:8} {UNMODIFIED}",
        *(_line(name, found) for name, found in rows.items()),
    ]
    return "\n".join(lines) + "\n"


def _line(name: str, found: Sequence[Verdict]) -> str:
    (ours, why), (unmodified, why_not) = found
    reason = "; ".join(dict.fromkeys(each for each in (why, why_not) if each))
    return f"{name:24} {ours:8} {unmodified:10} {reason}".rstrip()


def verdict(name: str, column: str) -> Verdict:
    """What becomes of a file in a column."""
    if name in WHY[column]:
        return "cannot", WHY[column][name]
    test, remark = PART.get(name, (name, ""))
    said = _run(test, column)
    if re.search(r"^OK$", said, re.MULTILINE):
        return "passes", remark
    return "fails", _reason(said)


def _run(test: str, column: str) -> str:
    """What the tests said."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        if column == CLASS:
            Path(folder, "sitecustomize.py").write_text(IN_ITS_PLACE)
        programs = PROGRAMS | MANY_SWITCHES if test == "test_tree1024" else PROGRAMS
        for program, body in programs.items():
            Path(folder, program).write_text(f"#!/bin/bash\n{body}\n")
            Path(folder, program).chmod(0o755)
        script = f"cd {TESTS} && PATH={folder}:$PATH PYTHONPATH={folder} exec {PYTHON} -W ignore -m unittest -v {test}"
        words: tuple[str, ...] = ("bash", "-c", script)
        try:
            words = words if column == CLASS else following(*words)
            return run_alone(*words, timeout_s=TIMEOUTS_S.get(test, TIMEOUT_S))
        except AssertionError as failed:
            return str(failed)


def _reason(said: str) -> str:
    errors = re.findall(r"^(\w*(?:Error|TIMEOUT|EOF)\b.*)$", said, re.MULTILINE)
    return errors[-1][:120] if errors else said.strip().splitlines()[-1][:120]


if __name__ == "__main__":
    main(sys.argv[1:])
