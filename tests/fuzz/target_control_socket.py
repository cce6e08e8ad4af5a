"""Clients of the control socket: bytes in any pieces to the real server, with the commands of a switch behind it.

Checked: nothing reaches the event loop but answers; each answer has either a result or an error, and none is "internal
error"; as many answers as requests; and the stream is cut into the same objects however its bytes come.
"""

from __future__ import annotations

import asyncio
import functools
import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from inband.errors import WireError
from inband.flow.ports import PortNo
from inband.runtime.bridge_runner import BridgeRunner
from inband.runtime.change_options import ChangeOptions
from inband.runtime.changes import with_change
from inband.runtime.commands import make_registry
from inband.runtime.unixctl import JsonStream, UnixctlServer
from inband.switch.config import SwitchConfig
from inband.switch.confirming import Confirming
from inband.switch.core import SwitchCore
from inband.switch.history import History
from inband.switch.names import ServerList
from inband.vocabulary.addresses import Mac
from tests.fuzz.fuzzing import Script, Target, sized
from tests.unit.switch.bench import Bench

# More than any command takes.
ANSWER_S = 10.0
# Changes what the process logs from then on, also for the inputs after it.
_LEFT_OUT = "vlog/set"


@functools.cache
def _bench() -> Bench:
    """One for all inputs: making it is most of the work, and no command here changes a bridge."""
    bench = Bench()
    bench.managed.bridge.add_port(PortNo(1), "eth1", Mac(0x020000000101))
    bench.managed.bridge.set_dns(frozenset({ip_address("192.0.2.53")}), frozenset({"ctl.example"}))
    return bench


class FakeProcess:
    """A switch process as commands see it, whose configuration changes but whose one bridge does not."""

    def __init__(self) -> None:
        bench = self._bench = _bench()
        managed = bench.managed
        runner = SimpleNamespace(
            managed=managed, bridge=managed.bridge, config=managed.config, connections=managed.connections, now=0.0,
            notes=[], tls_note=None, port_with=lambda _: None, port_to=lambda _: None,
            local=SimpleNamespace(duplicates=set(), pair=SimpleNamespace(inner="br0-in")),
            ports=SimpleNamespace(missing=list), watch=lambda _: None,
        )  # fmt: skip
        self.bridges = {"br0": cast(BridgeRunner, runner)}
        self.config = SwitchConfig(bridges=(managed.config,))
        self.front = None
        self.history = History()
        self.confirming = Confirming()
        self.core = SwitchCore(
            bench.clock, lambda _: 0, cast(Any, None), find_servers=ServerList,
            addresses_changed=lambda: None, remember=lambda _: None, report=lambda _: None, wake=lambda: None,
        )  # fmt: skip

    @property
    def now(self) -> float:
        """The bench's clock."""
        return self._bench.clock()

    def counters(self) -> Mapping[str, Mapping[str, int]]:
        """None of its own."""
        return {}

    def end(self, reason: str) -> None:
        """It goes on."""

    async def confirm(self) -> None:
        """The change that waits stays."""
        self.confirming.confirm(self.now)

    async def roll_back(self) -> None:
        """The change that waits goes."""
        self.config = self.confirming.roll_back(self.now)

    async def change(self, verb: str, arguments: Sequence[str], options: ChangeOptions) -> None:
        """The pure part of a verb; the bridge that there is stays."""
        self.confirming.check_free(self.now)
        await asyncio.sleep(0)
        changed = with_change(self.config, verb, arguments)
        if any(bridge.name == "br0" for bridge in changed.bridges):
            if options.confirm_s is not None:
                self.confirming.begin(self.config, verb, options.confirm_s, self.now)
            self.config = changed


def check(data: bytes) -> None:
    """Send the pieces, hang up, and read all that comes."""
    script = Script(data)
    pieces = []
    while script:
        pieces.append(script.sized())
    objects = _cut(pieces)
    assert repr(objects) == repr(_cut([b"".join(pieces)])), "how bytes are cut changes what they say"
    if _LEFT_OUT.encode() in b"".join(pieces):
        return
    answers = asyncio.run(_talk(pieces))
    for answer in answers:
        assert (answer["result"] is None) != (answer["error"] is None), answer
        assert "internal error" not in (answer["error"] or ""), answer
    requests, is_rubbish = objects
    if not is_rubbish and all(_is_request(each) for each in requests):
        assert len(answers) == len(requests)


def _cut(pieces: Sequence[bytes]) -> tuple[list[dict[str, Any]], bool]:
    """The objects up to the first rubbish, and whether there was some, whatever was whole before it in its piece."""
    stream, found = JsonStream(), list[dict[str, Any]]()
    try:
        for byte in b"".join(pieces) if len(pieces) == 1 else ():
            found += stream.feed(bytes((byte,)))
        for piece in pieces if len(pieces) != 1 else ():
            found += stream.feed(piece)
    except WireError:
        return [], True
    return found, False


def _is_request(parsed: Mapping[str, Any]) -> bool:
    params = parsed.get("params")
    return isinstance(parsed.get("method"), str) and isinstance(params, list) and all(map(_is_text, params))


def _is_text(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(value.encode() or True)
    except UnicodeEncodeError:
        return False


async def _talk(pieces: Sequence[bytes]) -> list[dict[str, Any]]:
    failures: list[Mapping[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    with tempfile.TemporaryDirectory(prefix="inband-fuzz-") as folder:
        server = UnixctlServer(Path(folder) / "ctl", make_registry(FakeProcess()))
        await server.start()
        try:
            async with asyncio.timeout(ANSWER_S):
                said = await _converse(server.path, pieces)
        finally:
            await server.close()
    assert not failures, failures
    return said


async def _converse(path: Path, pieces: Sequence[bytes]) -> list[dict[str, Any]]:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0)
        writer.write_eof()
        said = (await reader.read()).decode()
    except ConnectionError:  # it hung up on rubbish before we had sent it all
        return []
    finally:
        writer.close()
    return _answers(said)


def _answers(text: str) -> list[dict[str, Any]]:
    found, at = [], 0
    while at < len(text):
        answer, at = json.JSONDecoder().raw_decode(text, at)
        found.append(answer)
    return found


def _request(method: str, *params: str) -> bytes:
    return json.dumps({"method": method, "params": params, "id": 1}).encode()


def seeds() -> Iterable[bytes]:
    """Every command, one in pieces, two in one piece."""
    requests = [
        _request("list-commands"), _request("version"), _request("coverage/show"), _request("inband/show", "json"),
        _request("inband/dump-flows", "br0", "hidden", "json"), _request("bridge/dump-flows", "br0"),
        _request("inband/dump-datapath", "br0"), _request("fdb/show", "br0"), _request("inband/events", "json"),
        _request("inband/trace", "br0", "in_port=1,tcp,nw_dst=192.0.2.1,tp_dst=6653"),
        _request("inband/trace", "br0", "icmp6,ipv6_src=fe80::1,icmp_type=135,nd_target=fe80::2,dl_vlan=5"),
        _request("inband/trace", "br0", "hex", "ffffffffffff02000000000108060001080006040001" + "00" * 20, "eth1"),
        _request("inband/set", "br0", "queue=3", "in-band=off", "inactivity-probe=500ms"),
        _request("inband/add-bridge", "br1", "address=192.0.2.7/24,dhcp"), _request("inband/del-bridge", "br1"),
        _request("inband/set-controller", "br0", "tcp:192.0.2.1", "ptcp:6653:[::1]"), _request("exit"),
        _request("inband/set-dns-server", "192.0.2.53"), _request("inband/add-port", "br0", "eth1"),
    ]  # fmt: skip
    yield from map(sized, requests)
    yield sized(requests[0] + b"\n" + requests[1])
    yield b"".join(sized(requests[1][start : start + 7]) for start in range(0, len(requests[1]), 7))
    yield sized(b'{"a": "\\"}{", "id": [[1e400, {}]]} ')


WORDS = tuple(
    word.encode()
    for word in ('"method":', '"params":[', '"id":', "inband/", "trace", "set", '","', "br0", "\\ud800", "nw_dst=",
        "ipv6_dst=", "dl_vlan=", "tcp", "arp", "mpls_label=", "metadata=", "0x", "/24", "reg0=", "NaN", "-0")
)  # fmt: skip
TARGET = Target(check, seeds, WORDS)
