"""Questions and changes to the host, asked of rtnetlink one at a time and answered at once.

What: a socket that sends one request and waits for its answer. The kernel answers inside the system call, so this
takes tens of microseconds and may be used inside a running event loop; it is meant for start-up and for commands.

Invariants: a refusal, and an answer that cannot be read, is HostError, with the kernel's own words where it gives some;
nothing else is raised.
Not here: notifications and lookups (``inband.host.netlink``).
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from inband.errors import HostError, InbandError, UsageError, WireError
from inband.host import codec, netlink_socket, rtnetlink
from inband.host.codec import Message
from inband.host.netlink_socket import refused
from inband.host.rtnetlink import Link

_SOL_NETLINK, _NETLINK_CAP_ACK, _NETLINK_EXT_ACK = 270, 10, 11
_TIMEOUT_S = 5.0  # others may hold the kernel's rtnl lock, for example while many interfaces go away

_T = TypeVar("_T")
Change = tuple[int, int, bytes]
"""A message's type, flags and body."""


class Requests:
    """Use as a context manager. Works in the network namespace of the calling thread."""

    def __init__(self) -> None:
        self._socket = netlink_socket.open_socket()
        self._socket.settimeout(_TIMEOUT_S)
        for option in (_NETLINK_CAP_ACK, _NETLINK_EXT_ACK):
            self._socket.setsockopt(_SOL_NETLINK, option, 1)
        self._sequence = 0

    def __enter__(self) -> Requests:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def link(self, name: str) -> Link | None:
        """The interface of that name, None when there is none."""
        wanted = rtnetlink.link_question(0, codec.text(rtnetlink.IFLA_IFNAME, name))
        return self._link(f"look at interface {name}", wanted)

    def link_at(self, index: int) -> Link | None:
        """The interface with that index, None when there is none."""
        return self._link(f"look at interface {index}", rtnetlink.link_question(index))

    def peer_of(self, link: Link) -> Link | None:
        """The other end of a pair that is in another namespace, None when there is none. Raises HostError.

        Its indexes are those of that namespace. This needs CAP_NET_ADMIN there.
        """
        if link.peer_namespace is None:
            return None
        wanted = rtnetlink.link_question(link.peer, rtnetlink.elsewhere(link.peer_namespace))
        return self._link(f"look at the other end of interface {link.index}", wanted)

    def _link(self, operation: str, wanted: bytes) -> Link | None:
        try:
            answers = self.ask(operation, rtnetlink.RTM_GETLINK, wanted, rtnetlink.read_link)
        except HostError as error:
            if error.errno == errno.ENODEV:
                return None
            raise
        return answers[0] if answers else None

    def ask(
        self,
        operation: str,
        kind: int,
        body: bytes,
        read: Callable[[bytes], _T | None],
        *,
        dump: bool = False,
        echo: bool = False,
    ) -> list[_T]:
        """Send a question of type ``kind``; gives what ``read`` makes of the answers' bodies, without None.

        ``operation`` is for people. ``dump``: about all there are; ``echo``: the answer goes to who listens to changes,
        so it is wanted here, too. ``read`` may raise WireError. Raises HostError.
        """
        values = []
        flags = codec.NLM_F_DUMP if dump else codec.NLM_F_ACK | (codec.NLM_F_ECHO if echo else 0)
        for answer in self._exchange(operation, kind, flags, body):
            try:
                value = read(answer.body)
            except WireError as error:
                raise HostError(operation, f"{rtnetlink.kind_name(answer.kind)} cannot be read: {error}") from error
            if value is not None:
                values.append(value)
        return values

    def change(self, operation: str, kind: int, flags: int, body: bytes) -> None:
        """Send a change of type ``kind``, and wait until it is done. ``operation`` is for people. Raises HostError."""
        self._exchange(operation, kind, flags | codec.NLM_F_ACK, body)

    def change_together(self, operation: str, *changes: Change) -> None:
        """Send changes in one datagram, so that a process that is killed has made all of them or none.

        The kernel carries them out in order within the system call. One that is refused does not stop those after it;
        the first refusal is raised. Raises HostError.
        """
        first, datagram = self._sequence + 1, b""
        for kind, flags, body in changes:
            self._sequence += 1
            datagram += codec.message(kind, codec.NLM_F_REQUEST | codec.NLM_F_ACK | flags, self._sequence, body)
        refusals = []
        with _as_host_error(operation):
            self._socket.send(datagram)
            for sequence in range(first, first + len(changes)):
                try:
                    self._answers(operation, sequence)
                except HostError as error:
                    refusals.append(error)
        if refusals:
            raise refusals[0]

    def _exchange(self, operation: str, kind: int, flags: int, body: bytes) -> list[Message]:
        self._sequence += 1
        with _as_host_error(operation):
            self._socket.send(codec.message(kind, codec.NLM_F_REQUEST | flags, self._sequence, body))
            return self._answers(operation, self._sequence)

    def _answers(self, operation: str, sequence: int) -> list[Message]:
        answers: list[Message] = []
        while True:
            for message in codec.split(netlink_socket.receive(self._socket) or b""):
                if message.sequence != sequence:
                    continue
                if message.kind in (codec.NLMSG_ERROR, codec.NLMSG_DONE):
                    number = codec.error_number(message.body)
                    if number:
                        raise refused(operation, number, codec.error_words(message.body))
                    return answers
                answers.append(message)


def take_all(*steps: Callable[[], None]) -> None:
    """Take every step, also after one that is refused. Raises the first InbandError, after the last step."""
    refusals = []
    for step in steps:
        try:
            step()
        except InbandError as error:
            refusals.append(error)
    if refusals:
        raise refusals[0]


@contextmanager
def _as_host_error(operation: str) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise refused(operation, errno.ETIMEDOUT) from error
    except OSError as error:
        raise refused(operation, error.errno or 0) from error
    except WireError as error:
        raise HostError(operation, f"the kernel's answer cannot be read: {error}") from error


def check_interface_name(name: str) -> None:
    """Raise UsageError for what the kernel would not take as an interface's name (dev_valid_name)."""
    if not 0 < len(name.encode()) < 16 or name in (".", "..") or any(c in "/:" or c.isspace() for c in name):
        raise UsageError(f"{name!r} cannot be an interface: names have 1 to 15 characters, without spaces, '/' and ':'")
