"""Why the switch does not do what a message asks."""

from __future__ import annotations

from inband.errors import WireError
from inband.vocabulary.openflow_errors import ERROR_TYPE, ErrorCode


class RefusalError(WireError):
    """A request that is understood and refused; the peer gets an ERROR with this type and code.

    ``type`` and ``code`` are numbered as in OpenFlow 1.3.5, 7.4.4; the text is for our own log.
    """

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(text)
        self.type = ERROR_TYPE[type(code)]
        self.code = code
