"""What is wrong with a message, as the ERROR that the peer must get."""

from __future__ import annotations

from inband.errors import WireError
from inband.openflow.messages import Envelope, Error
from inband.vocabulary.openflow_errors import ERROR_TYPE, ErrorCode

ERROR_DATA = 512
"""An ERROR carries so much of the request. At least 64 bytes (OpenFlow 1.3.5, 7.4.4), but ovs-ofctl says which flow was
refused only where all of it is there, and few flows are longer than this."""


class MalformedError(WireError):
    """Something inside a message is wrong; the codec turns it into a DecodeError, which knows the message."""

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(text)
        self.code = code


class DecodeError(WireError):
    """A message that cannot be understood, with all that its ERROR needs.

    ``version`` and ``xid`` are the header's; ``type`` and ``code`` are numbered as in OpenFlow 1.3 (OFPET_*), also
    for a 1.0 peer; ``data`` is the beginning of the message.
    """

    def __init__(self, version: int, xid: int, code: ErrorCode, data: bytes, text: str) -> None:
        super().__init__(text)
        self.version = version
        self.xid = xid
        self.type = ERROR_TYPE[type(code)]
        self.code = code
        self.data = data[:ERROR_DATA]

    def reply(self) -> Envelope:
        """The ERROR that answers the message."""
        return Envelope(self.version, self.xid, Error(self.type, self.code, self.data))
