"""The control socket: commands over Open vSwitch's unixctl protocol, so that ``ovs-appctl -t SOCKET`` works.

JSON-RPC 1.0 on a unix stream: ``{"method": NAME, "params": [STRINGS], "id": ANY}`` is answered by
``{"result": TEXT, "error": null, "id": SAME}``, or with the text in ``error`` (ovs-appctl(8); JSON-RPC 1.0, section 1).
Objects follow each other without a separator, so the reader finds their ends itself (:class:`JsonStream`).

Invariants: a client can neither stop the switch nor make it hold more than a bounded number of bytes; one client's
slowness is its own (a request at a time, and the answer is gone before the next is read); rubbish closes that client
and is counted; a new client always finds a place, for the client that has been idle for longest makes room.
Who may connect is decided by the run directory's mode, not here.

Not here: what the commands do (the switch registers them), and the client (``unixctl_client``).
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import logging
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from inband.errors import HostError, InbandError, UsageError, WireError
from inband.runtime.stepping import next_turn

log = logging.getLogger(__name__)

# The largest request that makes sense is a trace of one 64 kB frame as hex.
MAX_REQUEST_BYTES = 256 << 10
# json's parser recurses per level; requests have two.
MAX_DEPTH = 16
MAX_CLIENTS = 64
# How long a client may take to send the rest of a request, and to read its answer. The longest answers are some ten
# megabytes, over a unix socket.
PATIENCE_S = 5.0
READING_S = 60.0

# What long answers of all clients may come to that wait to be read, in characters: those of two million flows' dump are
# more, and get through alone. Who has been at it longest makes room.
MAX_UNREAD_CHARS = 32 << 20
# What is read together: a hundred short requests, which take a millisecond to find.
READ_BYTES = 1 << 13
# What of an answer is encoded, and handed to the kernel, together: a third of a millisecond.
PIECE_CHARS = 1 << 16

# struct sockaddr_un, unix(7): 108 bytes with the final NUL.
MAX_PATH_BYTES = 107

Handler = Callable[[Sequence[str]], str | Awaitable[str]]
"""A command: takes its arguments, returns the text for the client, or raises InbandError to refuse."""


_NOT_SPACE = re.compile(rb"[^ \t\r\n]")
_OUTSIDE = re.compile(rb'["{}\[\]]')
_IN_STRING = re.compile(rb'["\\]')


class JsonStream:
    """Cuts a stream of bytes into JSON objects. Work per call is proportional to the bytes given."""

    def __init__(self, limit: int = MAX_REQUEST_BYTES) -> None:
        """``limit`` is the most bytes one object may have."""
        self._limit = limit
        self._buffer = bytearray()
        self._scanned = 0
        self._depth = 0
        self._in_string = False

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Take bytes and return the objects that they complete; raises WireError for what is not JSON objects."""
        self._buffer += data
        found = []
        while (end := self._find_end()) is not None:
            found.append(_parse_object(bytes(self._buffer[:end])))
            del self._buffer[:end]
            self._scanned = 0
        if len(self._buffer) > self._limit:
            raise WireError(f"control socket: a request of more than {self._limit} bytes")
        return found

    @property
    def is_between_objects(self) -> bool:
        """Whether nothing is left of an object that has begun."""
        return self._depth == 0

    def _find_end(self) -> int | None:
        """The offset just behind the first whole object, or None while more bytes are needed.

        Only the bytes that mean something to the structure are looked at one by one.
        """
        start = _NOT_SPACE.search(self._buffer, self._scanned) if self._depth == 0 else None
        if start is not None and start.group() != b"{":
            raise WireError(f"control socket: byte {start.group()[0]:#04x} where a JSON object should begin")
        while mark := (_IN_STRING if self._in_string else _OUTSIDE).search(self._buffer, self._scanned):
            if self._in_string and mark.group() == b"\\":
                if mark.end() == len(self._buffer):  # what it escapes has not come yet
                    self._scanned = mark.start()
                    return None
                self._scanned = mark.end() + 1
                continue
            self._scanned = mark.end()
            if self._take(mark.group()):
                return mark.end()
        self._scanned = len(self._buffer)
        return None

    def _take(self, mark: bytes) -> bool:
        """Follow quotation marks and brackets; True when the outermost bracket closes."""
        if mark == b'"':
            self._in_string = not self._in_string
        elif mark in b"{[":
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise WireError(f"control socket: a request nested deeper than {MAX_DEPTH} levels")
        else:
            self._depth -= 1
            return self._depth == 0
        return False


def _is_unicode(text: str) -> bool:
    """Whether text can be written again: JSON's escapes can spell half a surrogate pair, which no encoding takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _parse_object(data: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise WireError(f"control socket: not valid JSON: {error}") from None
    if not isinstance(parsed, dict):  # brackets of different kinds can close each other in the scan above
        raise WireError("control socket: a request is a JSON object")
    return parsed


@dataclass(frozen=True, slots=True)
class Command:
    """One command: ``usage`` are its arguments for people; ``max_args`` None means any number."""

    name: str
    usage: str
    min_args: int
    max_args: int | None
    handler: Handler


@dataclass(slots=True)
class Registry:
    """The commands of one control socket. ``list-commands`` is there from the start, as in Open vSwitch."""

    commands: dict[str, Command] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.add("list-commands", "", 0, 0, lambda _args: self.describe())

    def add(self, name: str, usage: str, min_args: int, max_args: int | None, handler: Handler) -> None:
        """Register a command; the name must be new (a defect of the caller otherwise)."""
        if name in self.commands:
            raise ValueError(f"command {name!r} is registered twice")
        self.commands[name] = Command(name, usage, min_args, max_args, handler)

    def describe(self) -> str:
        """The list that ``list-commands`` prints: one command a line, sorted, arguments in a second column."""
        lines = [f"  {command.name:<23} {command.usage}".rstrip() for _, command in sorted(self.commands.items())]
        return "The available commands are:\n" + "".join(f"{line}\n" for line in lines)

    async def call(self, name: str, arguments: Sequence[str]) -> str:
        """Run one command; raises UsageError for a wrong name or count, and what the handler raises."""
        command = self.commands.get(name)
        if command is None:
            theirs = f'"{name}" is not a valid command (use "list-commands" to see a list of valid commands)'
            close = get_close_matches(name, self.commands, 1)
            raise UsageError(f"{theirs}: did you mean {close[0]}?" if close else theirs)
        if len(arguments) < command.min_args:
            raise UsageError(f'"{name}" command requires at least {command.min_args} arguments: {name} {command.usage}')
        if command.max_args is not None and len(arguments) > command.max_args:
            raise UsageError(f'"{name}" command takes at most {command.max_args} arguments: {name} {command.usage}')
        answer = command.handler(arguments)
        return await answer if inspect.isawaitable(answer) else answer


@dataclass(slots=True)
class UnixctlCounters:
    """What happened on the socket: requests answered, refused; clients closed for rubbish, slowness, their number."""

    requests: int = 0
    refusals: int = 0
    garbage: int = 0
    too_slow: int = 0
    made_room: int = 0
    turned_away: int = 0


@dataclass(slots=True, eq=False)
class _Client:
    """Someone connected; ``is_busy`` while a command of theirs is carried out."""

    task: asyncio.Task[None]
    stream: JsonStream = field(default_factory=JsonStream)
    is_busy: bool = False
    unread_chars: int = 0


class UnixctlServer:
    """Serves a registry at a path: ``await start()``, later ``await close()``."""

    def __init__(self, path: Path, commands: Registry) -> None:
        """``path`` must be free: the run directory removes what a killed switch left (``rundir``)."""
        self.path = path
        self.counters = UnixctlCounters()
        self._commands = commands
        self._server: asyncio.Server | None = None
        # The one that has been idle for longest first.
        self._clients: OrderedDict[asyncio.Task[None], _Client] = OrderedDict()

    async def start(self) -> None:
        """Listen; raises HostError when the kernel refuses, UsageError when the path is too long for it."""
        check_socket_path(self.path)
        try:
            self._server = await asyncio.start_unix_server(self._serve, self.path)
            self.path.chmod(0o600)
        except OSError as error:
            reason = error.strerror or str(error)
            raise HostError(f"listen at {self.path}", reason, errno=error.errno or 0) from None

    async def close(self) -> None:
        """Stop listening, end the clients and remove the socket."""
        if self._server is not None:
            self._server.close()
        clients = [task for task in self._clients if task is not asyncio.current_task()]
        for task in clients:
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        self.path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._clients) >= MAX_CLIENTS and not self._make_room():
            self.counters.turned_away += 1
            writer.close()
            return
        client = self._clients[task] = _Client(task)
        try:
            await self._converse(client, reader, writer)
        except WireError as error:
            self.counters.garbage += 1
            log.warning("%s; closed that client: speak JSON-RPC, as ovs-appctl does", error)
        except TimeoutError:
            self.counters.too_slow += 1
            writer.transport.abort()
        except (OSError, asyncio.CancelledError):
            pass  # the client went away, or the switch stops: either way there is no one to tell
        finally:
            self._clients.pop(task, None)
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    def _make_room(self) -> bool:
        """Close the client that has had no request for longest; whether there was one."""
        client = next((each for each in self._clients.values() if not each.is_busy), None)
        if client is None:
            return False
        self.counters.made_room += 1
        del self._clients[client.task]
        client.task.cancel()
        return True

    async def _converse(self, client: _Client, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        deadline: float | None = None
        while True:
            async with asyncio.timeout_at(deadline):
                data = await reader.read(READ_BYTES)
            if not data:
                return
            await next_turn()
            for request in client.stream.feed(data):
                deadline = None
                client.is_busy = True
                await next_turn()
                answer = await self._answer(request)
                client.is_busy = False
                self._clients.move_to_end(client.task)
                self._bound_unread(client, len(answer["result"] or ""))
                async with asyncio.timeout(READING_S):
                    await _write(writer, answer)
                client.unread_chars = 0
            if not client.stream.is_between_objects:
                deadline = deadline or loop.time() + PATIENCE_S

    def _bound_unread(self, client: _Client, chars: int) -> None:
        """Note that an answer waits to be read; where it is too much, close those that have left theirs longest."""
        client.unread_chars = chars
        unread = sum(each.unread_chars for each in self._clients.values())
        for other in list(self._clients.values()):
            if unread <= MAX_UNREAD_CHARS:
                break
            if other is not client and other.unread_chars > PIECE_CHARS:
                self.counters.too_slow += 1
                unread -= other.unread_chars
                del self._clients[other.task]
                other.task.cancel()

    async def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        method, params = request.get("method"), request.get("params")
        if not isinstance(method, str) or not isinstance(params, list):
            raise WireError("control socket: a request needs a method and a list of params")
        if not all(isinstance(param, str) and _is_unicode(param) for param in params):
            raise WireError("control socket: params are strings")
        self.counters.requests += 1
        try:
            result = await self._commands.call(method, params)
        except InbandError as error:
            self.counters.refusals += 1
            return {"id": request.get("id"), "result": None, "error": f"{error}\n"}  # ovs-appctl prints it as it is
        except Exception:
            # Our bug. The switch goes on: goal 1 ranks above a tidy death, and the log has what is needed to mend it.
            log.exception("command %s failed: a defect of inband, please report it", method)
            return {"id": request.get("id"), "result": None, "error": f"{method}: internal error, see the switch's log"}
        return {"id": request.get("id"), "result": result, "error": None}


async def _write(writer: asyncio.StreamWriter, answer: dict[str, Any]) -> None:
    """Write an answer, of which as much waits in this process as the client has room for."""
    text = answer["result"] or ""
    if len(text) <= PIECE_CHARS:
        writer.write(json.dumps(answer).encode())
        await writer.drain()
        return
    writer.write(f'{{"id": {json.dumps(answer["id"])}, "error": null, "result": "'.encode())
    for start in range(0, len(text), PIECE_CHARS):
        await next_turn()
        writer.write(json.dumps(text[start : start + PIECE_CHARS])[1:-1].encode())
        await writer.drain()
    writer.write(b'"}')
    await writer.drain()


def check_socket_path(path: Path) -> None:
    """Raise UsageError when the kernel cannot bind a socket at so long a path."""
    if len(str(path).encode()) > MAX_PATH_BYTES:
        raise UsageError(
            f"{path} is too long for a socket (at most {MAX_PATH_BYTES} bytes): choose a shorter --run-dir"
        )
