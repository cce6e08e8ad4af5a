"""The far end of an OpenFlow connection, which notes what the switch owes it for each message it sends."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from inband.agent.agent import HANDLERS
from inband.openflow import messages as m
from inband.openflow import multipart as mp
from inband.openflow.codec import HEADER, decode, encode, split
from inband.openflow.errors import ERROR_DATA, DecodeError
from inband.openflow.messages import Envelope, Message
from inband.openflow.session import SessionConfig
from inband.switch.channel import Channel
from inband.switch.transport import TcpProgress
from tests.unit.switch.fakes import FakeTransport

ERROR = 1
# Before the data of an error that 1.0 has no number for, and Nicira neither (NXBRC_UNENCODABLE_ERROR).
_UNENCODABLE = bytes.fromhex("000023200001 0209")
# What the kernel hands over at once.
READ_BYTES = 1 << 16
# Transaction ids of our messages; below are those of the switch and of rubbish.
FIRST_XID = 0x40000000

NEVER_ANSWERED = (m.Hello, m.EchoReply, m.Error)
_OF_THE_SESSION = (m.EchoRequest, m.NxFlowModTableId)
_UNASKED = (m.PacketIn, m.PortStatus, m.FlowRemoved)


@dataclass
class Owed:
    """What a message asks for. ``reply``: the type of its reply, None where there is none but perhaps an ERROR."""

    raw: bytes
    reply: type[Message] | None
    must_be_refused: bool
    is_answered: bool = False


class Peer:
    """One peer, connected or not. What it sends waits in it while the switch does not read."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.is_reading = True
        self._transport: FakeTransport | None = None
        self._outbox: deque[bytes] = deque()
        self._half = b""
        self._owed: dict[int, Owed] = {}
        self._next_xid = FIRST_XID
        self._names_tables = False
        self._is_well_framed = True

    # --- what steps do --------------------------------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """Whether there is a stream."""
        return self._transport is not None

    def begin(self, transport: FakeTransport) -> None:
        """A stream is open: say HELLO."""
        self.__init__(self.version)  # type: ignore[misc]
        self._transport = transport
        self._outbox.append(encode(Envelope(self.version, 1, m.Hello(frozenset({self.version})))))

    def send(self, kind: int, body: bytes, *, in_pieces: bool = False) -> None:
        """Send a message with a true header; ``in_pieces``: the rest of it comes before the next one."""
        raw = HEADER.pack(self.version, kind, HEADER.size + len(body), self._next_xid) + body
        if self._transport is None or len(raw) > 0xFFFF:
            return
        self._note(raw)
        self._next_xid += 1
        self._send_half()
        cut = len(raw) // 2 if in_pieces else len(raw)
        self._outbox.append(raw[:cut])
        self._half = raw[cut:]

    def send_raw(self, data: bytes) -> None:
        """Send bytes that need not be messages: from now on nothing is known of what is owed."""
        self._send_half()
        self._outbox.append(data)
        self._is_well_framed = False

    def hang_up(self) -> None:
        """End the stream."""
        if self._transport is not None:
            transport, self._transport = self._transport, None
            transport.user.closed("Connection reset by peer")

    def set_reading(self, is_reading: bool) -> None:
        """Take what the switch says, or leave it unread."""
        if self._transport is not None and is_reading != self.is_reading:
            self.is_reading = is_reading
            self._transport.user.set_writable(is_reading)

    def set_stuck(self, is_stuck: bool) -> None:
        """What TCP says."""
        if self._transport is not None:
            self._transport.tcp = TcpProgress(1, 2) if is_stuck else None

    def ask_for_barrier(self) -> None:
        """Send the last question."""
        self.send(20 if self.version == 4 else 18, b"")
        self._send_half()

    # --- the stream -------------------------------------------------------------------------------------------------

    def move(self) -> bool:
        """Hand over what waits, and read what was written; whether anything moved."""
        transport = self._transport
        if transport is None:
            return False
        if transport.is_closed or transport.is_aborted:
            self._check_end(transport)
            self.hang_up()
            return True
        has_read = self._read(transport)
        if not self._outbox or not transport.is_reading:
            return has_read
        data = self._outbox.popleft()
        if len(data) > READ_BYTES:
            self._outbox.appendleft(data[READ_BYTES:])
        transport.user.received(data[:READ_BYTES])
        return True

    def _send_half(self) -> None:
        if self._half:
            self._outbox.append(self._half)
            self._half = b""

    def _read(self, transport: FakeTransport) -> bool:
        if not transport.written:
            return False
        for raw in split(transport.written):
            self._receive(raw)
        assert not transport.written, "half a message was written"
        return True

    def _receive(self, raw: bytes) -> None:
        envelope = decode(raw)
        message = envelope.message
        if not self._is_well_framed or isinstance(message, m.Hello):
            return
        assert envelope.version == self.version, f"an answer of version {envelope.version}"
        if isinstance(message, m.EchoRequest):
            self._send_half()
            self._outbox.append(encode(Envelope(self.version, envelope.xid, m.EchoReply(message.data))))
        elif isinstance(message, _UNASKED):
            assert envelope.xid == 0, f"{message} has a transaction id"
        else:
            self._settle(envelope)

    # --- what is owed -----------------------------------------------------------------------------------------------

    def _note(self, raw: bytes) -> None:
        try:
            message = decode(raw, table_id_in_command=self._names_tables).message
        except DecodeError:
            if raw[1] != ERROR:
                self._owed[self._next_xid] = Owed(raw, None, must_be_refused=True)
            return
        if isinstance(message, m.NxFlowModTableId):
            self._names_tables = message.enabled
        if isinstance(message, NEVER_ANSWERED):
            return
        is_known = type(message) in HANDLERS or isinstance(message, _OF_THE_SESSION)
        self._owed[self._next_xid] = Owed(raw, _reply_to(message) if is_known else None, not is_known)

    def _settle(self, envelope: Envelope) -> None:
        message = envelope.message
        assert envelope.xid in self._owed, f"{message} answers nothing"
        owed = self._owed[envelope.xid]
        assert not owed.is_answered, f"{owed.raw.hex()} is answered again, by {message}"
        if isinstance(message, m.Error):
            shown = message.data.removeprefix(_UNENCODABLE)
            assert shown == owed.raw[:ERROR_DATA], f"{message} does not show {owed.raw.hex()}"
            owed.is_answered = True
            return
        assert owed.reply is not None, f"{owed.raw.hex()} is answered by {message}"
        assert isinstance(message, owed.reply), f"{owed.raw.hex()} is answered by {message}"
        owed.is_answered = not getattr(message, "more", False)
        if isinstance(message, m.BarrierReply):
            self._check_before(envelope.xid)

    def _check_before(self, xid: int) -> None:
        for number, owed in self._owed.items():
            if number < xid and (owed.reply is not None or owed.must_be_refused):
                assert owed.is_answered, f"{owed.raw.hex()} is not answered"
        self._owed = {number: owed for number, owed in self._owed.items() if number >= xid}

    def check_unread(self) -> None:
        """What the switch keeps for a peer that does not read is bounded. Nothing else can be asked of it then."""
        transport = self._transport
        if transport is not None and not self.is_reading:
            assert isinstance(transport.user, Channel)
            unread = transport.user.session.take_output(limit=1 << 40)
            assert len(unread) <= SessionConfig().hard_bytes, f"{len(unread)} bytes are kept"
            self.hang_up()

    def _check_end(self, transport: FakeTransport) -> None:
        """The switch hangs up only for a reason."""
        assert not self._is_well_framed or not self.is_reading, "hung up on a peer that did nothing wrong"

    def check(self) -> None:
        """At the end: the barrier, and with it all before, is answered."""
        if self.is_connected and self._is_well_framed:
            assert all(owed.is_answered for owed in self._owed.values()), "the last barrier is not answered"


def _reply_to(message: Message) -> type[Message] | None:
    """The type of a request's reply; None for what is no request."""
    name = type(message).__name__
    if not name.endswith("Request"):
        return None
    module = mp if hasattr(mp, name) else m
    reply: type[Message] = getattr(module, name.removesuffix("Request") + "Reply")
    return reply
