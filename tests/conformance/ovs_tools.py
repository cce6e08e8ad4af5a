"""Everyday command lines of Open vSwitch's tools, on our switch and on Open vSwitch: what they answer, compared.

    python -m tests.conformance.ovs_tools

Each switch has the same bed: one bridge, two hosts that have pinged each other; for ovs-vsctl a database that it
follows. The lines are run in their order on both. Two answers are *the same* as they are, or *the same but for names*:
for figures, addresses, times, names of datapaths and of modules, and the order of lines; or *the same with more words*:
each line of ours begins with one of theirs. Every other pair needs a reason in REASONS, and so does every line that
only Open vSwitch takes. The table goes to conformance/ovs_tools.txt.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab import ovs
from lab.inband import InbandSwitch
from lab.net import Lab
from lab.ovs import OvsSwitch
from lab.ovsdb_follower import Follower
from lab.switch import Switch
from lab.topology import BridgePlan, Site

FOLDER = Path(__file__).resolve().parents[2] / "conformance"
TABLE = FOLDER / "ovs_tools.txt"
PREFIX = "ivt"
PATIENCE_S = 10.0

OFCTL = """\
add-flow br0 priority=0,actions=NORMAL
show br0
dump-desc br0
dump-tables br0
dump-ports br0
dump-ports br0 p1
dump-ports-desc br0
add-flow br0 priority=7,cookie=0x77,tcp,in_port=p1,tp_dst=80,actions=mod_nw_ttl:3,output:p2
add-flow br0 table=1,ip,nw_dst=10.0.0.0/24,actions=dec_ttl,goto_table:2
add-flows br0 FILE
dump-flows br0
dump-flows br0 tcp
dump-flows br0 cookie=0x77/-1
--names dump-flows br0
--no-stats dump-flows br0
dump-aggregate br0
mod-flows br0 tcp,in_port=p1,tp_dst=80,actions=drop
--strict del-flows br0 priority=7,tcp,in_port=p1,tp_dst=80
replace-flows br0 FILE
diff-flows br0 FILE
del-flows br0 udp
queue-stats br0
queue-get-config br0 p1
get-frags br0
mod-port br0 p2 no-flood
mod-port br0 p2 flood
add-group br0 group_id=1,type=all,bucket=output:1,bucket=output:2
dump-groups br0
dump-group-stats br0
dump-group-features br0
mod-group br0 group_id=1,type=select,bucket=output:1
del-groups br0
add-meter br0 meter=1,kbps,band=type=drop,rate=1000
dump-meters br0
meter-stats br0
meter-features br0
del-meters br0
packet-out br0 in_port=LOCAL,packet=ffffffffffff02000000000188b5,actions=output:1
probe br0
add-flow br0 nonsense=1,actions=drop
dump-flows br9"""

APPCTL = """\
version
list-commands
ofproto/list
ofproto/trace br0 in_port=p1,icmp,nw_src=10.0.0.11,nw_dst=10.0.0.12
ofproto/trace br0 in_port=p1,tcp,tp_dst=80 -generate
ofproto/trace br9 tcp
dpif/show
dpif/dump-flows br0
dpctl/show
dpctl/dump-dps
dpctl/dump-flows
dpctl/dump-flows --names
fdb/show br0
fdb/stats-show br0
fdb/flush br0
fdb/show br9
bridge/dump-flows br0
bridge/reconnect br0
upcall/show
memory/show
coverage/show
qos/show p1
rstp/show
rstp/show br0
bond/show
bond/list
vlog/list
vlog/set info
vlog/set nosuchmodule:dbg
revalidator/wait
nosuchverb"""

VSCTL = """\
add-br br0 -- set bridge br0 datapath_type=KIND
add-port br0 p1 -- set interface p1 ofport_request=1
add-port br0 p2
show
list-br
br-exists br0
br-exists br9
list-ports br0
list-ifaces br0
port-to-br p1
get interface p1 ofport
get interface p1 link_state
get port p2 tag
set-fail-mode br0 secure
get-fail-mode br0
set-controller br0 tcp:192.0.2.1 tcp:192.0.2.2
get-controller br0
del-controller br0
set bridge br0 other_config:disable-in-band=true
get bridge br0 datapath_id
--columns=name,ofport,error list interface
set port p2 tag=6
get interface p2 error
add-br br1 -- set bridge br1 datapath_type=KIND
del-br br1
set port p2 qos=@q -- --id=@q create qos type=linux-htb queues:1=@a -- --id=@a create queue other-config:max-rate=1000
--columns=type,other_config list qos
clear port p2 qos
--all destroy qos -- --all destroy queue
add-port br0 vlan10 tag=10 -- set interface vlan10 type=internal
get interface vlan10 ofport
get interface vlan10 admin_state
add-port br0 pa -- set interface pa type=patch options:peer=pb
get interface pa ofport error
add-port br0 pc -- set interface pc type=patch
del-port vlan10
del-port br0 p2
--if-exists del-port br0 p9
del-port br0 p9
add-port br0 nosuchport
emer-reset
del-br br0"""

_AS_THE_KERNELS = "as Open vSwitch's datapath in the kernel; that in user space, here beside it, names its thread first"
_CARDS = "frame, overrun, CRC and collision counters are the card's: ?, as OpenFlow allows; `ip -s -s link` has them"
REASONS: Mapping[str, str] = {
    "ovs-appctl version": "each says who it is",
    "ovs-appctl list-commands": "ours has no verbs for what it does not have (BFD, CFM, conntrack), and its own: "
    "docs/guide.md lists them",
    "ovs-appctl ofproto/trace br0 in_port=p1,icmp,nw_src=10.0.0.11,nw_dst=10.0.0.12": "the frame and the "
    "ports are the same; remarks and the width of the megaflow are each switch's own",
    "ovs-appctl ofproto/trace br0 in_port=p1,tcp,tp_dst=80 -generate": "a trace never sends, for it looks at a switch "
    "in use; refused in words: `ovs-ofctl packet-out` sends",
    "ovs-appctl dpif/dump-flows br0": "the syntax is the same; matches are as wide as each pipeline makes them",
    "ovs-appctl dpctl/dump-flows": _AS_THE_KERNELS,
    "ovs-appctl dpctl/dump-flows --names": _AS_THE_KERNELS,
    "ovs-appctl bridge/dump-flows br0": "hidden flows have a letter; Open vSwitch's internal table 254 is not there",
    "ovs-appctl dpctl/show": "Open vSwitch has one datapath for all bridges, with a port of its own",
    "ovs-appctl upcall/show": "the limit and the count are there; no revalidator threads, so no averages of them",
    "ovs-appctl memory/show": "ports, rules and keys are there; no threads and no copy of the database to count",
    "ovs-appctl coverage/show": "what is counted is each program's own; ours is by bridge (rates: `inband top`)",
    "ovs-appctl vlog/list": "modules are each program's own; ours writes the console alone, which the journal keeps",
    "ovs-vsctl show": "this switch writes ovs_version; with Open vSwitch its start script does",
    "ovs-ofctl dump-desc br0": "each says who it is",
    "ovs-ofctl dump-ports br0": _CARDS,
    "ovs-ofctl dump-ports br0 p1": _CARDS,
    "ovs-ofctl meter-features br0": "ours has DSCP remarking too, and other limits",
    "ovs-appctl fdb/show br0": "the form is the same; the bridge's own address is on LOCAL without being learned, and "
    "Open vSwitch learned one from the trace with -generate",
}

_SAME = (
    (re.compile(r"^\d{4}-\d\d-\d\dT[\d:]+Z", re.MULTILINE), "TIME"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r'"[0-9a-f]{16}"'), "ID"),
    (re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{2}(:[0-9a-f]{2}){5}\b|\bdpid:[0-9a-f]{16}"), "N"),
    (re.compile(r"\b(netdev|ebpf|userspace|system)@[\w-]+"), "DATAPATH"),
    (re.compile(r"'(netdev|system)' datapath|datapath_type: (netdev|system)"), "DATAPATH"),
    (re.compile(r"\b\d+(\.\d+)?(s|ms)?\b"), "N"),
    (re.compile(r"\((tap|internal)\)"), "(internal)"),
    (re.compile(r"ovs-(appctl|ofctl): (ovs-vswitchd|/\S+|unix:\S+|\S+): server"), r"ovs-\1: TARGET: server"),
    (re.compile(r" +"), " "),
)
"""What may differ between answers that are the same but for names."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command line said: exit code, standard output and error."""

    code: int
    text: str

    @property
    def bare(self) -> list[str]:
        """Lines without names and figures, in an order of their own."""
        text = self.text
        for pattern, instead in _SAME:
            text = pattern.sub(instead, text)
        return sorted(line.strip() for line in text.splitlines() if line.strip())


@dataclass(frozen=True, slots=True)
class Row:
    """A command line and its two answers."""

    line: str
    theirs: Answer
    ours: Answer
    reasons: Mapping[str, str] = field(default_factory=lambda: REASONS)

    @property
    def verdict(self) -> str:
        """What the comparison says."""
        if self.theirs == self.ours:
            return "same"
        if self.theirs.code == self.ours.code and self.theirs.bare == self.ours.bare:
            return "same but for names"
        if self.theirs.code == self.ours.code and _only_adds(self.theirs.bare, self.ours.bare):
            return "same with more words"
        return "missing" if self.ours.code and not self.theirs.code else "differs"

    @property
    def reason(self) -> str:
        """Why it is not the same."""
        return self.reasons.get(self.line, "") if self.verdict not in ("same", "same but for names") else ""


def _only_adds(theirs: Sequence[str], ours: Sequence[str]) -> bool:
    """Whether each line begins with one of theirs, in their order."""
    return len(theirs) == len(ours) and all(mine.startswith(other) for other, mine in zip(theirs, ours, strict=True))


@dataclass(frozen=True, slots=True)
class Lines:
    """Command lines for each tool, why answers differ where they do, and where the table goes."""

    ofctl: str
    appctl: str
    vsctl: str
    reasons: Mapping[str, str]
    file: Path

    def __iter__(self) -> Iterator[str]:
        for tool, lines in (("ofctl", self.ofctl), ("appctl", self.appctl), ("vsctl", self.vsctl)):
            yield from (f"ovs-{tool} {line}" for line in lines.splitlines())


EVERYDAY = Lines(OFCTL, APPCTL, VSCTL, REASONS, TABLE)


def main(lines: Lines = EVERYDAY) -> int:
    """Write the table; exit code 1 when a line has no reason."""
    rows = measure(lines)
    lines.file.write_text(table(rows))
    unexplained = [row for row in rows if row.verdict in ("missing", "differs") and not row.reason]
    for row in unexplained:
        print(
            f"{row.line}: {row.verdict}, and no reason is given\n--- Open vSwitch\n{row.theirs}\n--- inband\n{row.ours}"
        )
    print(lines.file.read_text())
    return bool(unexplained)


def measure(lines: Lines = EVERYDAY) -> list[Row]:
    """Run all lines on both switches."""
    answers: list[list[Answer]] = []
    for is_peer in (True, False):
        with Lab(PREFIX, offloads=False) as lab:
            found = _answers(lab, "ovs" if is_peer else "inband", lines)
        with Lab(PREFIX, offloads=False) as lab:
            found += _database_answers(lab, lines, is_peer=is_peer)
        answers.append(found)
    theirs, ours = answers
    return [Row(line, *pair, lines.reasons) for line, pair in zip(lines, zip(theirs, ours, strict=True), strict=True)]


def _database_answers(lab: Lab, lines: Lines, *, is_peer: bool) -> list[Answer]:
    """What ovs-vsctl says where the switch follows a database."""
    follower = Follower(lab, is_peer=is_peer)
    words = ["ovs-vsctl", f"--db={follower.database.remote}", "--timeout=5"]
    lines_of_kind = lines.vsctl.replace("KIND", follower.kind).splitlines()
    return [_run([*words, *line.split()], os.environ) for line in lines_of_kind]


def _answers(lab: Lab, target: str, lines: Lines) -> list[Answer]:
    box, h1, h2 = (lab.namespace(name) for name in ("box", "h1", "h2"))
    for number, host in ((1, h1), (2, h2)):
        lab.link(box, f"p{number}", host, "eth0")
        host.address("eth0", f"10.0.0.1{number}/24")
    site = Site(box, (BridgePlan("br0", ("p1", "p2"), address="10.0.0.1/24"),))
    switch: Switch
    if target == "ovs":
        switch = OvsSwitch(lab, site)
        folder, control = lab.folder / f"ovs-{box.short}", "vs.ctl"
    else:
        switch = ours = InbandSwitch(lab, site)
        folder, control = ours.run_dir, "inband.ctl"
    switch.start(connect=False)
    flows = lab.folder / "flows"
    flows.write_text("priority=5,udp,actions=drop\npriority=6,arp,actions=NORMAL\npriority=0,actions=NORMAL\n")
    environment = {**os.environ, "OVS_RUNDIR": str(folder)}
    answers = []
    for line in lines.ofctl.splitlines():
        words = ["ovs-ofctl", "-O", "OpenFlow13", *line.replace("FILE", str(flows)).split()]
        answers.append(_run(words, environment))
    h1.run("ping", "-c", "2", "-i", "0.2", "-W", "2", "10.0.0.12")
    for line in lines.appctl.splitlines():
        words = ["ovs-appctl", "-t", str(folder / control), *line.split()]
        answers.append(_run(words, environment))
    switch.stop()
    return answers


def _run(words: Sequence[str], environment: Mapping[str, str]) -> Answer:
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S, check=False, env=environment)
    return Answer(done.returncode, done.stdout + done.stderr)


def table(rows: Sequence[Row]) -> str:
    """The table for people."""
    counted = Counter(row.verdict for row in rows)
    order = ("same", "same but for names", "same with more words", "differs", "missing")
    lines = [
        f"{len(rows)} command lines on inband beside Open vSwitch {ovs.version()}: "
        + ", ".join(f"{counted[verdict]} {verdict}" for verdict in order),
        "",
    ]
    for row in rows:
        reason = f": {row.reason}" if row.reason else ""
        lines.append(f"{row.line}\n    {row.verdict}{reason}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
