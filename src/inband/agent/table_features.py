"""TABLE_FEATURES: what each table can do, truthfully (OpenFlow 1.3.5, 7.3.5.5).

All tables are alike except for where a goto can lead, so the properties are built once per number of tables and
shared. Miss variants of a property may be left out when they equal the plain one (7.3.5.5.2), and they do: a table miss
is a flow like any other. A request that would change features is refused: the tables are as they are.
"""

from __future__ import annotations

from functools import lru_cache

from inband.agent.connection import Connection
from inband.agent.refusal import RefusalError
from inband.agent.statistics import UNLIMITED_ENTRIES
from inband.agent.switch import Switch
from inband.agent.validate import SETTABLE
from inband.flow.fields import FIELDS
from inband.openflow.constants import ActionType, InstructionType
from inband.openflow.constants import TablePropertyType as Type
from inband.openflow.multipart import TableFeatures, TableFeaturesReply, TableFeaturesRequest, TableProperty
from inband.openflow.wire_fields import field_header
from inband.vocabulary.instant import Instant
from inband.vocabulary.openflow_errors import TableFeaturesFailed

ALL_ONES = 0xFFFFFFFFFFFFFFFF

_INSTRUCTIONS = (
    InstructionType.GOTO_TABLE,
    InstructionType.WRITE_METADATA,
    InstructionType.WRITE_ACTIONS,
    InstructionType.APPLY_ACTIONS,
    InstructionType.CLEAR_ACTIONS,
    InstructionType.METER,
)
ACTIONS = tuple(action for action in ActionType if action is not ActionType.EXPERIMENTER)
"""What a flow or a bucket can do, but for Nicira's actions, which have no number of their own here."""

_OXM = tuple(field for field in FIELDS.values() if field.oxm is not None)
_MATCH = tuple(field_header(field.name, masked=field.maskable) for field in _OXM)
_WILDCARDS = tuple(field_header(field.name) for field in _OXM)
_SET_FIELD = tuple(field_header(field.name) for field in _OXM if field.name in SETTABLE)

_COMMON = (
    TableProperty(Type.WRITE_ACTIONS, ACTIONS),
    TableProperty(Type.APPLY_ACTIONS, ACTIONS),
    TableProperty(Type.MATCH, _MATCH),
    TableProperty(Type.WILDCARDS, _WILDCARDS),
    TableProperty(Type.WRITE_SETFIELD, _SET_FIELD),
    TableProperty(Type.APPLY_SETFIELD, _SET_FIELD),
)


def table_features(switch: Switch, _: Connection, request: TableFeaturesRequest, __: Instant) -> TableFeaturesReply:
    """Describe every table; refuse to change one."""
    if request.entries:
        raise RefusalError(TableFeaturesFailed.EPERM, "the features of tables cannot be changed")
    limit = switch.tables.limit
    return TableFeaturesReply(_features(len(switch.tables), UNLIMITED_ENTRIES if limit is None else limit))


@lru_cache(maxsize=4)  # one per bridge shape; 254 tables cost milliseconds, and ovs-ofctl asks before each add-flow
def _features(n_tables: int, max_entries: int) -> tuple[TableFeatures, ...]:
    return tuple(
        TableFeatures(
            table_id=table_id,
            name="",  # ovs-ofctl writes names in the place of numbers, where there are some
            metadata_match=ALL_ONES,
            metadata_write=ALL_ONES,
            config=0,
            max_entries=max_entries,
            properties=_properties(table_id, n_tables),
        )
        for table_id in range(n_tables)
    )


def _properties(table_id: int, n_tables: int) -> tuple[TableProperty, ...]:
    is_last = table_id == n_tables - 1
    instructions = tuple(i for i in _INSTRUCTIONS if not (is_last and i is InstructionType.GOTO_TABLE))
    return (
        TableProperty(Type.INSTRUCTIONS, instructions),
        TableProperty(Type.NEXT_TABLES, tuple(range(table_id + 1, n_tables))),
        *_COMMON,
    )
