"""Drop precedence in DSCP: what a meter's remark band makes worse (OpenFlow 1.3.5, 5.7.1; RFC 2597).

Only the codepoints of assured forwarding, AF11 to AF43, have a drop precedence. Others mean something else in the
same bits (EF is none of a class, class selectors are precedences), so they stay as they are.
"""

from __future__ import annotations

_CLASSES = range(1, 5)
_PRECEDENCES = range(1, 4)


def worse_precedence(dscp: int, by: int) -> int:
    """The codepoint with its drop precedence raised by ``by``, at most to 3; one without a precedence as it is."""
    af_class, precedence = dscp >> 3, dscp >> 1 & 3
    if dscp & 1 or af_class not in _CLASSES or precedence not in _PRECEDENCES:
        return dscp
    return af_class << 3 | min(precedence + by, 3) << 1
