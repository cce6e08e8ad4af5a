"""`python -m tests.conformance.mininet_suite [TEST...]`: Mininet's own tests of its examples, on our switch.

The examples say OVSSwitch, or nothing; a ``sitecustomize`` puts our class in its place. Each test file runs in
namespaces of its own. What fails is held against WHY; the table in conformance/mininet.txt says which pass, which
cannot, and why.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from inband.mininet import CUSTOM_FILE
from lab.mininet import PYTHON, REPOSITORY, run_alone

TESTS = Path("/usr/share/doc/mininet/examples/test")
RESULT = REPOSITORY / "conformance/mininet.txt"
TIMEOUT_S = 150.0

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
PROGRAMS = {"python": f'exec {PYTHON} "$@"', "controller": 'exec ovs-testcontroller "$@"'}

IPERF = "Mininet 2.3.0 waits for ever for the second result of iperf 2.1.8, with any switch (two hosts on a link too)"
VSCTL = "asks ovs-vsctl, which speaks to a database"
WHY: dict[str, str] = {
    "test_baresshd": "no sshd is installed",
    "test_sshd": "no sshd is installed",
    "test_cluster": "needs a cluster of machines",
    "test_clusterSanity": "needs a cluster of machines",
    "test_controllers": VSCTL,
    "test_controlnet": "runs the reference switch ofdatapath, which Debian does not have",
    "test_cpu": IPERF,
    "test_emptynet": IPERF,
    "test_hwintf": "asks for a hardware interface",
    "test_intfoptions": IPERF,
    "test_limit": IPERF,
    "test_linearbandwidth": IPERF,
    "test_mobility": VSCTL,
    "test_nat": "pings a host of the Internet",
    "test_numberedports": VSCTL,
    "test_scratchnet": VSCTL,
    "test_treeping64": "runs the reference switch ofdatapath, which Debian does not have",
    "test_vlanhost": "needs the kernel's module 8021q",
}
"""Why a file cannot pass here, whatever the switch."""


def main(names: list[str]) -> None:
    """Run them, and write the table."""
    found = sorted(path.stem for path in TESTS.glob("test_*.py") if not names or path.stem in names)
    rows = []
    for name in found:
        if name in WHY:
            rows.append((name, "cannot", WHY[name]))
        else:
            rows.append((name, *_run(name)))
        print(*rows[-1], flush=True)
    passed = sum(verdict == "passes" for _, verdict, _ in rows)
    lines = [
        f"Mininet 2.3.0's tests of its examples, with the switch of `inband mininet`: {passed} of {len(rows)} pass.",
        "",
    ]
    lines += [f"{name:24} {verdict:8} {why}".rstrip() for name, verdict, why in rows]
    if not names:
        RESULT.write_text("\n".join(lines) + "\n")


def _run(name: str) -> tuple[str, str]:
    """The verdict on a file, and what its tests said."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder, "sitecustomize.py").write_text(IN_ITS_PLACE)
        for program, body in PROGRAMS.items():
            Path(folder, program).write_text(f"#!/bin/sh\n{body}\n")
            Path(folder, program).chmod(0o755)
        script = f"cd {TESTS} && PATH={folder}:$PATH PYTHONPATH={folder} exec {PYTHON} -W ignore -m unittest -v {name}"
        try:
            said = run_alone("bash", "-c", script, timeout_s=TIMEOUT_S)
        except AssertionError as failed:
            said = str(failed)
    if re.search(r"^OK", said, re.MULTILINE):
        return "passes", ""
    return "fails", _reason(said)


def _reason(said: str) -> str:
    errors = re.findall(r"^(\w*(?:Error|TIMEOUT|EOF)\b.*)$", said, re.MULTILINE)
    return errors[-1][:120] if errors else said.strip().splitlines()[-1][:120]


if __name__ == "__main__":
    main(sys.argv[1:])
