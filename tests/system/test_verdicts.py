"""Our switch and Open vSwitch judge the same flows, groups and packets: accepted or not, which error, what is shown.

The real ovs-ofctl asks both. What differs is in EXCEPTIONS, with its reason; a difference that is not there fails, and
so does an exception that is none any more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from inband.errors import UsageError
from inband.flow.text import parse_flow
from inband.openflow.codec import encode
from inband.openflow.messages import Envelope, FlowMod
from inband.vocabulary.openflow import OFP10, OFP13, FlowModCommand
from lab.inband import InbandSwitch
from lab.journal import until
from lab.net import CommandError, Lab, run
from lab.ovs import OvsSwitch
from lab.process import Process
from lab.topology import BridgePlan, Site
from lab.unixctl import Control
from tests.system.verdict_rows import BYTES, EXCEPTIONS, FLOW, ROWS, UNREADABLE, V10, V13, Row

pytestmark = pytest.mark.root

_ERROR = re.compile(r"OFPT_ERROR (?:\(OF1\.\d\) )?\(xid=0x[0-9a-f]+\): (\w+)")


class Verdict(NamedTuple):
    """What a switch says to a request: an error's name, or what it shows afterwards."""

    error: str
    shown: tuple[str, ...] = ()


class Side:
    """One switch, and an ovs-ofctl for each version that sends what it is told to."""

    def __init__(self, lab: Lab, switch: InbandSwitch | OvsSwitch) -> None:
        switch.start(connect=False)
        self._socket = f"unix:{switch.management()}"
        self._senders = {version: self._sender(lab, switch, version) for version in (V13, V10)}
        self.ofctl(V13, "add-meter", "meter=1,kbps,band=type=drop,rate=1000")

    def _sender(self, lab: Lab, switch: InbandSwitch | OvsSwitch, version: str) -> tuple[Control, Process]:
        path = lab.folder / f"{switch.site.namespace.short}-{version}.ctl"
        process = switch.site.namespace.start(
            "ovs-ofctl", "-O", version, f"--unixctl={path}", "monitor", self._socket, label=f"send {version}"
        )
        assert until(path.exists, 10.0), process.tail()
        return lab.hold(Control(path)), process

    def ofctl(self, version: str, command: str, *arguments: str, form: str = "") -> str:
        """Run ovs-ofctl, with a flow format if need be; raises CommandError when it or the switch refuses."""
        options = ("-O", version, "--no-stats", "--no-names", *(("-F", form) if form else ()))
        return run("ovs-ofctl", *options, command, self._socket, *arguments)

    def judge(self, row: Row) -> Verdict:
        """Send a row's request to a switch without flows, and with one group and one meter."""
        for command in ("del-flows", "del-groups"):
            self.ofctl(V13, command)
        self.ofctl(V13, "add-group", "group_id=1,type=all,bucket=output:2")
        error = self._send(row.version, row.text) if row.kind == BYTES else self._ask(row)
        return Verdict(error) if error else Verdict("", self._shown(row))

    def _ask(self, row: Row) -> str:
        try:
            self.ofctl(row.version, row.kind, row.text)
        except CommandError as error:
            found = _ERROR.search(str(error))
            return found[1] if found else self._send(row.version, _bytes_of(row, str(error)))
        return ""

    def _send(self, version: str, message: str) -> str:
        """Send bytes; the error that comes back, or nothing."""
        control, process = self._senders[version]
        before = process.log.stat().st_size
        control.call("ofctl/send", message)
        control.call("ofctl/barrier")
        found = _ERROR.search(process.log.read_bytes()[before:].decode())
        return found[1] if found else ""

    def _shown(self, row: Row) -> tuple[str, ...]:
        try:
            form = "OpenFlow10" if (row.version, row.kind) == (V10, BYTES) else ""
            dumps = self.ofctl(row.version, "dump-flows", form=form) + self.ofctl(V13, "dump-groups")
        except CommandError:
            return UNREADABLE
        lines = dumps.splitlines()
        return tuple(line.strip() for line in lines if "actions=" in line and "group_id=1," not in line)


def _bytes_of(row: Row, why: str) -> str:
    """What ovs-ofctl will not write, as our codec does; Open vSwitch naming the fault shows that it is understood."""
    assert row.kind == FLOW, why
    try:
        flow = parse_flow(row.text)
    except UsageError as error:
        raise AssertionError(f"{why}\n{error}") from error
    assert flow.instructions is not None
    request = FlowMod(FlowModCommand.ADD, flow.match, flow.priority, flow.instructions, flow.table_id)
    return encode(Envelope(OFP13 if row.version == V13 else OFP10, 42, request)).hex()


@pytest.fixture(scope="module")
def sides() -> Iterator[tuple[Side, Side]]:
    """Ours and Open vSwitch, three ports each."""
    with Lab("ihv") as lab:
        far = lab.namespace("far")
        made = []
        for name, kind in (("ours", InbandSwitch), ("ovs", OvsSwitch)):
            box = lab.namespace(name)
            for port in ("p1", "p2", "p3"):
                lab.link(box, port, far, f"{name}{port}")
            made.append(Side(lab, kind(lab, Site(box, (BridgePlan("br0", ("p1", "p2", "p3")),)))))
        yield made[0], made[1]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_ours_and_open_vswitch_say_the_same_or_the_difference_is_known(sides: tuple[Side, Side], row: Row) -> None:
    ours, theirs = (side.judge(row) for side in sides)

    known = EXCEPTIONS.get((row.version, row.name or row.text))
    if known is None:
        assert ours == theirs
    else:
        assert ours != theirs, "it is no exception any more"
        assert (ours.error or ours.shown) == known.ours, known.reason


def test_ports_say_of_their_links_what_open_vswitch_says(sides: tuple[Side, Side]) -> None:
    ours, theirs = (
        re.findall(r"(?:current|advertised|supported|peer|speed): .*", side.ofctl(V13, "dump-ports-desc"))
        for side in sides
    )

    assert len(ours) == 4 * 2
    assert ours == theirs


def test_every_exception_is_about_a_row() -> None:
    assert set(EXCEPTIONS) <= {(row.version, row.name or row.text) for row in ROWS}
