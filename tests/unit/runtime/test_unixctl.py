"""The control socket: what ovs-appctl and scripts rely on, and what no client can do to the switch."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inband.errors import HostError, UsageError, WireError
from inband.runtime import unixctl
from inband.runtime.unixctl import MAX_CLIENTS, JsonStream, Registry, UnixctlServer
from inband.runtime.unixctl_client import UnixctlClient, call


async def later(arguments: Sequence[str]) -> str:
    await asyncio.sleep(0)
    return "later " + " ".join(arguments)


async def wait(_arguments: Sequence[str]) -> str:
    await asyncio.sleep(60.0)
    return ""


def refuse(_arguments: Sequence[str]) -> str:
    raise UsageError("no bridge br9")


def commands() -> Registry:
    registry = Registry()
    registry.add("echo", "TEXT...", 0, None, " ".join)
    registry.add("later", "ONE [TWO]", 1, 2, later)
    registry.add("wait", "", 0, 0, wait)
    registry.add("refuse", "", 0, 0, refuse)
    registry.add("big", "", 0, 0, lambda _arguments: "}\n" * 1_000_000)
    registry.add("defect", "", 0, 0, lambda arguments: arguments[7])
    return registry


class RunningServer:
    """A server in a thread with an event loop of its own, for the blocking client."""

    def __init__(self, path: Path) -> None:
        self.server = UnixctlServer(path, commands())
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def start(self) -> None:
        self._thread.start()
        self.do(self.server.start())

    def do(self, what: object) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(10)  # type: ignore[arg-type]

    def stop(self) -> None:
        self.do(self.server.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A directory with a path short enough for a socket whatever the test's name is."""
    with tempfile.TemporaryDirectory(prefix="ihh") as name:
        yield Path(name)


@pytest.fixture
def running(short_dir: Path) -> Iterator[RunningServer]:
    one = RunningServer(short_dir / "inband.ctl")
    one.start()
    try:
        yield one
    finally:
        one.stop()


def test_a_command_is_answered_whether_it_waits_or_not(running: RunningServer) -> None:
    with UnixctlClient(running.server.path) as client:
        assert client.call("echo", ["a", "b"]) == "a b"
        assert client.call("later", ["ü"]) == "later ü"
        assert client.call("echo") == ""


def test_long_answers_full_of_braces_arrive_whole(running: RunningServer) -> None:
    assert call(running.server.path, "big") == "}\n" * 1_000_000


@pytest.mark.parametrize(
    ("method", "arguments", "complaint"),
    [
        ("refuse", [], "no bridge br9"),
        ("refuze", [], "see a list of valid commands): did you mean refuse?"),
        ("later", [], '"later" command requires at least 1 arguments: later ONE'),
        ("later", ["a", "b", "c"], '"later" command takes at most 2 arguments'),
        ("defect", [], "internal error, see the switch's log"),
    ],
)
def test_a_refusal_reaches_the_caller_and_the_connection_lives_on(
    running: RunningServer, method: str, arguments: list[str], complaint: str
) -> None:
    with UnixctlClient(running.server.path) as client:
        with pytest.raises(UsageError, match=re.escape(complaint)):
            client.call(method, arguments)

        assert client.call("echo", ["still here"]) == "still here"


def test_many_clients_are_served_and_for_one_more_the_one_that_was_idle_longest_makes_room(
    running: RunningServer,
) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(UnixctlClient(running.server.path)) for _ in range(MAX_CLIENTS)]
        assert [client.call("echo", ["x"]) for client in clients] == ["x"] * MAX_CLIENTS
        clients[0].call("echo", ["y"])

        assert call(running.server.path, "echo", ["z"]) == "z"

        assert [client.call("echo", ["x"]) for client in (clients[0], *clients[2:])] == ["x"] * (MAX_CLIENTS - 1)
        with pytest.raises(WireError, match="went away"):
            clients[1].call("echo", ["x"])
    assert (running.server.counters.made_room, running.server.counters.turned_away) == (1, 0)


def test_who_waits_for_an_answer_keeps_the_place(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unixctl, "MAX_CLIENTS", 2)

    async def live() -> tuple[bytes, UnixctlServer]:
        server = UnixctlServer(short_dir / "inband.ctl", commands())
        await server.start()
        waiting = []
        for _ in range(2):
            _, writer = await asyncio.open_unix_connection(server.path)
            writer.write(b'{"method": "wait", "params": [], "id": 1}')
            waiting.append(writer)
        while server.counters.requests < 2:
            await asyncio.sleep(0.001)
        try:
            return await converse(server.path), server
        finally:
            for writer in waiting:
                writer.close()
            await server.close()

    answer, server = asyncio.run(live())

    assert (answer, server.counters.turned_away, server.counters.made_room) == (b"", 1, 0)


@pytest.mark.parametrize("sent", [b'{"method": "ec', b'{"method": "echo", "params": [], "id": 1} {'])
def test_who_does_not_finish_a_request_is_closed(short_dir: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(unixctl, "PATIENCE_S", 0.05)

    async def live() -> UnixctlServer:
        server = UnixctlServer(short_dir / "inband.ctl", commands())
        await server.start()
        reader, writer = await asyncio.open_unix_connection(server.path)
        writer.write(sent)
        async with asyncio.timeout(5.0):
            while not server.counters.too_slow:
                writer.write(b" ")  # a byte now and then is no sign of life
                await asyncio.sleep(0.02)
            with contextlib.suppress(ConnectionResetError):
                await reader.read()
        writer.close()
        await server.close()
        return server

    assert asyncio.run(live()).counters.too_slow == 1


async def converse(path: Path, *chunks: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    for chunk in chunks:
        writer.write(chunk)
        await writer.drain()
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def serve_raw(path: Path, *chunks: bytes) -> tuple[bytes, UnixctlServer]:
    server = UnixctlServer(path, commands())
    await server.start()
    try:
        return await converse(path, *chunks), server
    finally:
        await server.close()


@pytest.mark.parametrize(
    "garbage",
    [
        b"hello",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"[1]",
        b'{"method": echo}',
        b'{"method": ]',
        b"{" * 100,
        b"{[" * 100,
        b'{"id": 1}',
        b'{"method": 1, "params": [], "id": 1}',
        b'{"method": "echo", "params": [1], "id": 1}',
        b'{"method": "echo", "params": {}, "id": 1}',
        b'{"method": "echo", "params": ["\xff"], "id": 1}',
        rb'{"method": "echo", "params": ["\ud800"], "id": 1}',
        b'{"method": "' + b"x" * 300_000,
    ],
)
def test_garbage_closes_that_client_and_is_counted(short_dir: Path, garbage: bytes) -> None:
    answer, server = asyncio.run(serve_raw(short_dir / "s", garbage))

    assert answer == b""
    assert server.counters.garbage == 1


def test_a_request_may_come_in_pieces_and_two_at_once(short_dir: Path) -> None:
    request = json.dumps({"method": "echo", "params": ['quo"te\\', "}{"], "id": "x"}).encode()

    answer, _ = asyncio.run(serve_raw(short_dir / "s", request[:10], request[10:] + b"\n" + request))

    reply = {"id": "x", "result": 'quo"te\\ }{', "error": None}
    assert answer.decode() == json.dumps(reply) * 2


def test_answers_that_nobody_reads_take_bounded_memory_and_who_reads_has_his(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unixctl, "MAX_UNREAD_CHARS", 5_000_000)
    big = json.dumps({"method": "big", "params": [], "id": 1}).encode()

    async def scene() -> tuple[int, bytes]:
        server = UnixctlServer(short_dir / "s", commands())
        await server.start()
        deaf = []
        for _ in range(6):  # two million characters each
            _, writer = await asyncio.open_unix_connection(str(server.path), limit=1)
            writer.write(big)
            deaf.append(writer)
        async with asyncio.timeout(10.0):
            while server.counters.too_slow < 4:
                await asyncio.sleep(0.01)
            answer = await converse(server.path, json.dumps({"method": "echo", "params": ["x"], "id": 1}).encode())
        for writer in deaf:
            writer.transport.abort()
        await server.close()
        return server.counters.too_slow, answer

    closed, answer = asyncio.run(scene())

    assert closed == 4
    assert b'"result": "x"' in answer


async def _flood(path: Path, requests: bytes, answers: int) -> None:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(requests)
    for _ in range(answers):
        await reader.readuntil(b"}")
    writer.close()


def test_however_many_ask_the_loop_goes_round_between_any_two_commands(short_dir: Path) -> None:
    async def scene() -> list[int]:
        rounds, at = 0, list[int]()
        noted = json.dumps({"method": "note", "params": [], "id": 1}).encode()

        async def count() -> None:
            nonlocal rounds
            while True:
                rounds += 1
                await asyncio.sleep(0)

        def note(_: Sequence[str]) -> str:
            at.append(rounds)
            return ""

        registry = Registry()
        registry.add("note", "", 0, 0, note)
        server = UnixctlServer(short_dir / "s", registry)
        await server.start()
        counting = asyncio.create_task(count())
        await asyncio.gather(*(_flood(server.path, noted * 50, 50) for _ in range(4)))
        counting.cancel()
        await server.close()
        return at

    at = asyncio.run(scene())

    assert len(at) == 200
    assert len(set(at)) == 200


def test_only_the_owner_may_use_the_socket(short_dir: Path) -> None:
    async def mode() -> int:
        server = UnixctlServer(short_dir / "s", commands())
        await server.start()
        found = (short_dir / "s").stat().st_mode & 0o777
        await server.close()
        return found

    assert asyncio.run(mode()) == 0o600
    assert not (short_dir / "s").exists()


def test_a_socket_that_cannot_be_made_is_an_error_that_says_so(short_dir: Path) -> None:
    (short_dir / "taken").mkdir()

    for path, kind in [
        (short_dir / "missing" / "s", HostError),
        (short_dir / "taken", HostError),
        (short_dir / ("x" * 200), UsageError),
    ]:
        with pytest.raises(kind):
            asyncio.run(UnixctlServer(path, commands()).start())


def test_the_client_says_that_no_switch_runs_there(short_dir: Path) -> None:
    for path in [short_dir / "inband.ctl", short_dir / "missing" / "inband.ctl", short_dir / ("x" * 200)]:
        with pytest.raises(UsageError, match=r"no switch runs in|cannot connect"):
            call(path, "version")


def test_commands_are_listed_sorted_with_their_arguments() -> None:
    assert commands().describe().splitlines()[:4] == [
        "The available commands are:",
        "  big",
        "  defect",
        "  echo                    TEXT...",
    ]


def test_the_real_ovs_appctl_speaks_to_it(running: RunningServer) -> None:
    if shutil.which("ovs-appctl") is None:
        assert "CI" not in os.environ, "ovs-appctl is missing: run make setup"
        pytest.skip("ovs-appctl is not installed")
    base = ["ovs-appctl", "-t", str(running.server.path)]

    listed = subprocess.run([*base, "list-commands"], capture_output=True, text=True, check=True, timeout=10)
    echoed = subprocess.run([*base, "echo", "a b", "c"], capture_output=True, text=True, check=True, timeout=10)
    refused = subprocess.run([*base, "refuse"], capture_output=True, text=True, check=False, timeout=10)

    assert "echo                    TEXT..." in listed.stdout
    assert echoed.stdout.strip() == "a b c"
    assert refused.returncode == 2
    assert "no bridge br9" in refused.stderr


OBJECTS = st.dictionaries(st.text(max_size=5), st.recursive(st.text(max_size=5), lambda c: st.lists(c, max_size=3)))


@given(st.lists(OBJECTS, max_size=4), st.integers(1, 7), st.booleans())
def test_a_stream_of_objects_is_cut_right_however_it_arrives(
    objects: list[dict[str, object]], size: int, ascii_only: bool
) -> None:
    data = " ".join(json.dumps(one, ensure_ascii=ascii_only) for one in objects).encode()
    stream = JsonStream()

    found = [one for i in range(0, len(data), size) for one in stream.feed(data[i : i + size])]

    assert found == objects


@given(st.binary(max_size=60))
def test_any_bytes_are_objects_or_refused_and_nothing_else(data: bytes) -> None:
    with contextlib.suppress(WireError):
        JsonStream().feed(b"{" + data)
