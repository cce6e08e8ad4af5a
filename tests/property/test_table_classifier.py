"""The fast classifier against its obvious twin, and its masks against their promise."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from inband.flow.fields import FIELDS
from inband.flow.flow import Flow
from inband.flow.match import Match
from inband.flow.priority import OpenFlowPriority
from inband.table.classifier import LinearClassifier, TupleSpaceClassifier

# Few values, close together, so that flows do match keys and values do share leading bits.
_VALUES: dict[str, tuple[int, ...]] = {
    "in_port": (1, 2, 3),
    "eth_type": (0x0800, 0x0806, 0),
    "vlan_vid": (0, 0x1001, 0x1002),
    "ip_proto": (6, 17),
    "ipv4_src": (0x0A000001, 0x0A000002, 0x0A000101, 0x0B000001),
    "ipv4_dst": (0x0A000001, 0x0A000002, 0x0A000101, 0x0B000001),
    "tcp_dst": (80, 81, 6653, 0x8000),
    "tcp_flags": (2, 18),
    "reg3": (0, 7),
}
_MASKS = {"ipv4_src": (0xFFFFFF00, 0xFF00FFFF), "ipv4_dst": (0xFFFFFF00, 0xFFFF0000), "vlan_vid": (0x1000,)}


def _key(values: dict[str, int]) -> int:
    return sum(FIELDS[name].put(0, value) for name, value in values.items())


keys = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in _VALUES.items()}).map(_key)


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    """A flow of up to four fields, some of them masked."""
    fields: dict[str, int | tuple[int, int]] = {}
    for name in draw(st.lists(st.sampled_from(list(_VALUES)), max_size=4, unique=True)):
        value = draw(st.sampled_from(_VALUES[name]))
        mask = draw(st.sampled_from((FIELDS[name].all_ones, *_MASKS.get(name, ()))))
        fields[name] = (value, mask)
    if draw(st.integers(0, 4)) == 0:  # what comes first among equals
        fields = {**dict.fromkeys(("eth_src", "eth_dst", "vlan_vid"), 0), "in_port": 1, "eth_type": 0x0800, **fields}
    return Flow(Match.of(**fields), OpenFlowPriority(draw(st.integers(0, 3))), ())


@settings(max_examples=150, deadline=None)
@given(
    st.lists(flows(), max_size=25),
    st.lists(st.integers(0, 24), max_size=12),
    st.lists(keys, min_size=1, max_size=6),
    st.lists(st.integers(min_value=0), min_size=1, max_size=4),
)
def test_both_classifiers_agree_and_the_mask_decides(
    inserted: list[Flow], removed: list[int], asked: list[int], noise: list[int]
) -> None:
    linear, fast = LinearClassifier(), TupleSpaceClassifier()
    kept = dict(enumerate(inserted))

    for flow in inserted:
        linear.insert(flow)
        fast.insert(flow)
    fast.lookup(asked[0])  # what follows must repair what this has built
    for index in removed:
        if (gone := kept.pop(index, None)) is not None:
            linear.remove(gone)
            fast.remove(gone)

    for key in asked:
        found, mask = fast.lookup(key)
        assert found is linear.lookup(key)[0]
        for bits in (*asked, *noise):
            other = key & mask | bits & ~mask
            assert linear.lookup(other)[0] is found
            assert fast.lookup(other) == (found, mask)
