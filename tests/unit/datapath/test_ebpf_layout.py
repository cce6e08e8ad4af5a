"""What this process takes for the program's structs is what the compiler made of them."""

from __future__ import annotations

import re
from pathlib import Path
from struct import Struct

import pytest

import inband
from inband.datapath.ebpf import keys, layout
from inband.flow.fields import FIELDS, PIPELINE_FIELDS
from tests.unit.datapath.btf import Btf, read_btf

OBJECT = Path(inband.__file__).with_name("datapath") / "ebpf" / "fastpath.bpf.o"


@pytest.fixture(scope="module")
def btf() -> Btf:
    return read_btf(OBJECT)


STRUCTS = {
    "op": (layout.OP, ["kind", "arg8", "arg16", "arg32"]),
    "flow_stats": (layout.STATS, ["packets", "bytes", "used_ns", "tick"]),
    "meter_band": (layout.METER_BAND, ["tokens", "depth", "rate", "levels", "count_at"]),
    "meter_count": (layout.METER_COUNT, ["packets", "bytes"]),
    "meter_question": (layout.METER_QUESTION, ["meter_id", "packets", "bytes", "padding"]),
    "mask": (layout.MASK, ["bits", "words", "padding"]),
    "config": (layout.CONFIG, ["epoch", "adopted_epoch", "mask_count", "control_per_s", "secret"]),
    "tables": (layout.TABLES, ["generation", "local_slot", "local_mac", "has_left_out", "masks", "misses"]),
    "share": (layout.SHARE, ["weight", "identity", "slot"]),
    "range": (layout.RANGE, ["first", "count"]),
    "station": (layout.STATION, ["slot", "is_pinned", "used_ns", "tick"]),
    "station_key": (layout.STATION_KEY, ["mac", "vlan_be"]),
    "port_in": (layout.PORT_IN, ["ifindex", "number_be", "slot"]),
    "port_out": (layout.PORT_OUT, ["ifindex", "number", "peer_allowed", "peer_mac"]),
    "port_stats": (
        layout.PORT_STATS,
        ["rx_packets", "rx_bytes", "tx_packets", "tx_bytes", "rx_dropped", "tx_dropped"],
    ),
    "upcall": (
        layout.UPCALL,
        [
            *("frame_len", "in_port", "vlan_tci", "vlan_proto_be"),
            *("checksum_at", "gso_size", "reason", "key"),
        ],
    ),
}


@pytest.mark.parametrize("name", STRUCTS)
def test_structs_have_the_same_members_at_the_same_places(btf: Btf, name: str) -> None:
    form, members = STRUCTS[name]

    assert btf.sizes[name] == form.size
    assert [btf.offsets[name][member] for member in members] == _offsets(form)


def _offsets(form: Struct) -> list[int]:
    """Where each value of a format starts; without alignment that is where the one before ends."""
    starts, at = [], 0
    for part in re.findall(r"\d+[sx]|[A-Z]", form.format[1:]):
        if not part.endswith("x"):
            starts.append(at)
        at += Struct("=" + part).size
    return starts


def test_an_entry_is_its_head_and_its_ops(btf: Btf) -> None:
    assert btf.sizes["flow_entry"] == layout.ENTRY_SIZE
    assert [btf.offsets["flow_entry"][name] for name in ("epoch", "slot", "op_count", "key")] == [0, 4, 8, 16]
    assert btf.offsets["flow_entry"]["ops"] == layout.ENTRY_HEAD.size


def test_rules_and_ports_end_in_an_entry(btf: Btf) -> None:
    assert btf.sizes["rule"] == layout.RULE_SIZE
    members = ["rank", "decision", "next_table", "fields", "metadata_bits", "metadata_mask", "entry"]
    assert [btf.offsets["rule"][name] for name in members] == [*_offsets(layout.RULE_HEAD), layout.RULE_HEAD.size]
    assert btf.sizes["rule_mask"] == layout.RULE_MASK.size
    at = [btf.offsets["rule_mask"][name] for name in ("mask", "best_rank", "field_words", "fields")]
    assert at == [0, layout.MASK.size, layout.MASK.size + 8, layout.MASK.size + 16]
    assert btf.sizes["inlet"] == layout.INLET_SIZE
    assert [btf.offsets["inlet"][name] for name in ("flags", "flood")] == [0, layout.INLET_HEAD.size]


def test_a_bucket_is_its_head_and_its_ops_and_a_group_its_shares(btf: Btf) -> None:
    assert btf.sizes["bucket"] == layout.BUCKET_SIZE
    assert [btf.offsets["bucket"][name] for name in ("slot", "op_count", "ops")] == [0, 4, layout.BUCKET_HEAD.size]
    assert btf.sizes["group"] == layout.GROUP_SIZE
    assert [btf.offsets["group"][name] for name in ("count", "shares")] == [0, layout.GROUP_HEAD.size]


def test_a_meter_is_its_head_and_its_bands(btf: Btf) -> None:
    members = ["tick", "count_at", "packet_size", "byte_size", "band_count", "filled_ns"]

    assert btf.sizes["meter"] == layout.METER_SIZE
    assert [btf.offsets["meter"][name] for name in members] == _offsets(layout.METER_HEAD)
    assert btf.offsets["meter"]["bands"] == layout.METER_HEAD.size


def test_numbers_are_the_same(btf: Btf) -> None:
    names = (
        *("LAYOUT_VERSION", "MAX_MASKS", "MAX_OPS", "MAX_PORTS", "MAX_MEGAFLOWS", "CONTROL_RING", "DATA_RING"),
        *("KEY_WORDS", "SHORT_KEY", "DISCOVERY_PER_S", "DISCOVERY_BURST_MS"),
        *("LINK_LOCAL_PER_S", "LINK_LOCAL_BURST_MS", "MAX_METERS", "MAX_BANDS", "MAX_METER_COUNTS"),
        *("CONTROL_PER_S", "CONTROL_BURST_MS", "MAX_RULES", "MAX_RULE_MASKS", "RULE_FILTER_WORDS"),
        *("MAX_TABLES", "MAX_WRITTEN", "MAX_VISITS", "MAX_GROUPS", "MAX_SHARES", "MAX_STATIONS"),
        *("REGISTER_WORDS", "FIELD_WORDS", "FIRST_FIELD_WORD", "FIRST_SCRATCH_WORD"),
        *("SCRATCH_WORDS", "MOVED_WORDS", "MOVED_SHIFT"),
        *(
            "UPCALL_SMALL",
            "TOLD_BACKLOG",
            "TOLD_PER_S",
            "TOLD_BURST_MS",
            "LEARNED_PER_S",
            "LEARNED_BURST_MS",
            "SILENT_MS",
        ),
    )

    assert {name: btf.enumerators[name] for name in names} == {name: getattr(layout, name) for name in names}


@pytest.mark.parametrize(
    ("prefix", "enum"),
    [
        *(("OP_", layout.OpKind), ("VERDICT_", layout.Verdict), ("UPCALL_", layout.UpcallReason)),
        *(("RULE_", layout.RuleDecision), ("INLET_", layout.InletFlag)),
    ],
)
def test_enums_are_the_same(btf: Btf, prefix: str, enum: type[layout.OpKind]) -> None:
    assert {each.name: btf.enumerators[prefix + each.name] for each in enum} == {each.name: each for each in enum}


def test_every_verdict_has_a_name(btf: Btf) -> None:
    assert btf.enumerators["VERDICT_COUNT"] == len(layout.Verdict)


def test_bits_are_moved_between_words_that_follow_one_another(btf: Btf) -> None:
    assert btf.sizes["pipeline_fields"] == layout.FIELDS_SIZE
    assert [btf.offsets["pipeline_fields"][name] for name in ("metadata", "registers")] == [0, 8]
    words = {name: btf.offsets["walk"][name] // 4 for name in ("key", "fields", "scratch", "visited")}
    assert words == {
        "key": 0,
        "fields": layout.FIRST_FIELD_WORD,
        "scratch": layout.FIRST_SCRATCH_WORD,
        "visited": layout.MOVED_WORDS,
    }


def test_what_tables_set_beside_a_packet_has_places_that_do_not_overlap() -> None:
    places = [(at, FIELDS[name].bits) for name, at in keys.PIPELINE_PLACES.items()]

    assert [at for at, _ in places] == [sum(bits for _, bits in places[:count]) for count in range(len(places))]
    assert sum(bits for _, bits in places) == 8 * layout.FIELDS_SIZE
    assert set(keys.PIPELINE_PLACES) == set(PIPELINE_FIELDS) - {"in_phy_port"}


def test_every_field_stands_where_the_program_puts_it(btf: Btf) -> None:
    members = {
        "in_port": "in_port_be",
        "eth_type": "eth_type_be",
        "eth_dst": "eth_dst",
        "eth_src": "eth_src",
        "vlan_vid": "vlan_be",
        "vlan_pcp": "vlan_be",
        "ip_dscp": "ip_tos",
        "ip_ecn": "ip_tos",
        "ip_proto": "ip_proto",
        "ip_ttl": "ip_ttl",
        "ip_frag": "ip_frag",
        "tcp_flags": "tcp_flags_be",
        **{f"{proto}_src": "transport.src_be" for proto in ("tcp", "udp", "sctp")},
        **{f"{proto}_dst": "transport.dst_be" for proto in ("tcp", "udp", "sctp")},
        **{f"icmpv{version}_type": "icmp.type" for version in (4, 6)},
        **{f"icmpv{version}_code": "icmp.code" for version in (4, 6)},
        "ipv4_src": "ipv4.src_be",
        "ipv4_dst": "ipv4.dst_be",
        "ipv6_src": "ipv6.src",
        "ipv6_dst": "ipv6.dst",
        "ipv6_flabel": "ipv6.flow_label_be",
        "ipv6_exthdr": "ipv6.exthdr_be",
        **{name: name.replace("_", ".") for name in ("arp_spa", "arp_tpa", "arp_sha", "arp_tha")},
        "arp_op": "arp.op_be",
        **dict.fromkeys(("mpls_label", "mpls_tc", "mpls_bos", "mpls_ttl"), "mpls_be"),
        "pbb_isid": "pbb_isid_be",
        "ipv6_nd_target": "nd_target",
        "ipv6_nd_sll": "nd_lladdr",
        "ipv6_nd_tll": "nd_lladdr",
        "inner_vlan": "inner_vlan_be",
    }

    assert btf.sizes["flow_key"] == layout.KEY_SIZE
    assert {name: place[0] for name, place in keys.PLACES.items()} == {
        name: btf.offsets["flow_key"][member] for name, member in members.items()
    }
    assert set(keys.PLACES) == {*FIELDS, "inner_vlan"} - set(PIPELINE_FIELDS)
