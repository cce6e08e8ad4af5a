"""The three errors that are not our bugs.

Whatever a peer, a host on a port or the kernel sends may raise one of these and nothing else. Everything else that
is raised is a defect of this program.
"""


class InbandError(Exception):
    """Base of the errors below: its text is for people and says what happened, to what, and what to do next."""


class WireError(InbandError):
    """A peer or a frame sent rubbish. The text says what was wrong and where."""


class UsageError(InbandError):
    """The caller (a person, a configuration, a command) asked for something that cannot be."""


class HostError(InbandError):
    """The kernel refused.

    ``errno`` is the kernel's number (0 where there is none); ``temporary`` tells whether trying again can help;
    ``log`` is what it said at length, if it did.
    """

    def __init__(self, operation: str, reason: str, *, errno: int = 0, temporary: bool = False, log: str = "") -> None:
        super().__init__(f"{operation}: {reason}")
        self.operation = operation
        self.reason = reason
        self.errno = errno
        self.temporary = temporary
        self.log = log
