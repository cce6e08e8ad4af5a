"""What a command did to the tables, and why one was refused."""

from __future__ import annotations

from collections.abc import Sequence

from inband.errors import UsageError
from inband.flow.flow import Flow
from inband.vocabulary.values import value


@value(frozen=True, slots=True)
class Changes:
    """The flows that a command touched; empty when it touched none.

    ``replaced`` are flows that an added one took the place of: they are gone, but no FLOW_REMOVED is due for them
    (OpenFlow 1.3.5, 6.4). ``modified`` flows are the same objects as before with other instructions. ``bulk``
    has those that a big change touched, in parts, and then the others are empty (``table.bulk``).
    """

    added: Sequence[Flow] = ()
    modified: Sequence[Flow] = ()
    replaced: Sequence[Flow] = ()
    removed: Sequence[Flow] = ()
    bulk: Sequence[Sequence[Flow]] = ()

    def __bool__(self) -> bool:
        """Whether any flow was touched."""
        return bool(self.added or self.modified or self.replaced or self.removed or self.bulk)


class TableRefusedError(UsageError):
    """A command that the tables refuse; nothing was changed."""


class TableFull(TableRefusedError):  # noqa: N818 - as OpenFlow names it
    """OFPFMFC_TABLE_FULL: the table holds as many visible flows as it may."""


class Overlap(TableRefusedError):  # noqa: N818 - as OpenFlow names it
    """OFPFMFC_OVERLAP: CHECK_OVERLAP was asked for, and a flow of the same priority could match the same packet."""


class BadTable(TableRefusedError):  # noqa: N818 - as OpenFlow names it
    """OFPFMFC_BAD_TABLE_ID: there is no such table."""
