"""One table of a TABLE_FEATURES message on the wire (OpenFlow 1.3.5, 7.3.5.5.1 and 7.3.5.5.2).

A property is a list of ids, and how long an id is depends on the property's type: 4 bytes for instructions, actions
and OXM headers (12 for an experimenter's, which are refused), one for a table.
"""

from __future__ import annotations

from functools import lru_cache

from inband.openflow import multipart as mp
from inband.openflow.constants import TablePropertyType
from inband.openflow.errors import MalformedError
from inband.openflow.layout import Layout
from inband.vocabulary.openflow_errors import TableFeaturesFailed

_TABLE: Layout[mp.TableFeatures] = Layout(
    mp.TableFeatures, "table_id:B 5x name:s32 metadata_match:Q metadata_write:Q config:I max_entries:I"
)
_P = TablePropertyType
_TABLES = (_P.NEXT_TABLES, _P.NEXT_TABLES_MISS)
_OXM = (
    _P.MATCH,
    _P.WILDCARDS,
    _P.WRITE_SETFIELD,
    _P.WRITE_SETFIELD_MISS,
    _P.APPLY_SETFIELD,
    _P.APPLY_SETFIELD_MISS,
)
_KNOWN = frozenset(_P)


def _bad_length(what: str, length: int) -> MalformedError:
    return MalformedError(TableFeaturesFailed.BAD_LEN, f"{what} of {length} bytes")


def decode_table(data: bytes, pos: int) -> tuple[mp.TableFeatures, int]:
    """Read one table's features at ``pos``: the value and where the next starts.

    Raises MalformedError: OFPTFFC_BAD_LEN, BAD_ARGUMENT.
    """
    length = int.from_bytes(data[pos : pos + 2], "big")
    end = pos + length
    if length < 2 + _TABLE.size or end > len(data):
        raise _bad_length("table features", length)
    properties, at = [], pos + 2 + _TABLE.size
    while at < end:
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        if size < 4 or at + size > end:
            raise _bad_length("a table property", size)
        properties.append(_decode_property(data[at : at + size]))
        at += (size + 7) // 8 * 8
    return _TABLE.read(data, pos + 2, properties=tuple(properties)), end


def _decode_property(data: bytes) -> mp.TableProperty:
    kind, body = int.from_bytes(data[:2], "big"), data[4:]
    if kind not in _KNOWN:
        return mp.TableProperty(kind, data=body)
    if kind in _TABLES:
        return mp.TableProperty(kind, tuple(body))
    if len(body) % 4:
        raise _bad_length("a table property", len(data))
    numbers = [int.from_bytes(body[at : at + 4], "big") for at in range(0, len(body), 4)]
    if kind in _OXM:
        return mp.TableProperty(kind, tuple(numbers))
    if any(number & 0xFFFF != 4 for number in numbers):
        raise MalformedError(TableFeaturesFailed.BAD_ARGUMENT, "an experimenter's instruction or action is not known")
    return mp.TableProperty(kind, tuple(number >> 16 for number in numbers))


@lru_cache(maxsize=256)  # a switch says the same of its tables each time, and 254 of them take ten milliseconds
def encode_table(table: mp.TableFeatures) -> bytes:
    """Write one table's features."""
    body = _TABLE.write(table) + b"".join(map(_encode_property, table.properties))
    return (len(body) + 2).to_bytes(2, "big") + body


def _encode_property(value: mp.TableProperty) -> bytes:
    if value.type not in _KNOWN:
        body = value.data
    elif value.type in _TABLES:
        body = bytes(value.ids)
    elif value.type in _OXM:
        body = b"".join(number.to_bytes(4, "big") for number in value.ids)
    else:
        body = b"".join((number << 16 | 4).to_bytes(4, "big") for number in value.ids)
    data = (value.type << 16 | len(body) + 4).to_bytes(4, "big") + body
    return data + bytes(-len(data) % 8)
