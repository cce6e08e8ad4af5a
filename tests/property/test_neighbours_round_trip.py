"""Random hellos survive the way to bytes and back, with padding and without."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from inband.fabric.description import MAX_LINKS, MAX_WAYS, ControlWay, DescribedLink, Description
from inband.fabric.description import decode as decode_description
from inband.fabric.description import encode as encode_description
from inband.fabric.distances import Distance, Station
from inband.fabric.hello import (
    MAP,
    MAX_ADDRESSES,
    MAX_CHANGES,
    MAX_WANTED,
    NEEDS,
    UPDATE,
    Change,
    Heard,
    Hello,
    decode,
    encode,
    frame,
    update_kind,
)
from inband.fabric.keys import Hashed, NetworkKeys
from inband.fabric.map_message import NodeRecord
from inband.fabric.map_message import decode as decode_map
from inband.fabric.map_message import encode as encode_map
from inband.fabric.need import Need, NeedKind
from inband.fabric.need import decode as decode_needs
from inband.fabric.need import encode as encode_needs
from inband.fabric.update import Update
from inband.fabric.update import decode as decode_update
from inband.fabric.update import encode as encode_update
from inband.vocabulary.addresses import Mac

WORD, LONG = st.integers(0, (1 << 32) - 1), st.integers(0, (1 << 64) - 1)
PACE = st.integers(10, 60_000)


@st.composite
def hellos(draw: st.DrawFn) -> Hello:
    """Any hello that may be sent: IPv4 addresses come first."""
    addresses = draw(st.lists(st.ip_addresses(), max_size=MAX_ADDRESSES))
    changes = draw(st.lists(st.builds(Change, LONG, WORD, WORD, st.integers(0, 255)), max_size=MAX_CHANGES))
    return Hello(
        *(draw(LONG), draw(WORD), draw(WORD), draw(WORD), draw(PACE), draw(PACE)),
        heard=draw(st.none() | st.builds(Heard, WORD, WORD, WORD, st.integers(0, 0xFFFF))),
        mac=draw(st.none() | st.builds(Mac, st.integers(0, (1 << 48) - 1))),
        addresses=tuple(sorted(addresses, key=lambda address: address.version)),
        changes=tuple(changes),
        wanted=draw(st.none() | st.lists(WORD, max_size=MAX_WANTED).map(tuple)),
    )


@settings(max_examples=200, deadline=None)
@given(hellos(), st.integers(0, 40))
def test_what_is_written_is_read(hello: Hello, padding: int) -> None:
    assert decode(encode(hello) + bytes(padding)) == hello


@st.composite
def updates(draw: st.DrawFn) -> Update[Station, Distance]:
    """Any update that may be sent: records of IPv4 come before those of IPv6."""
    distances = st.builds(Distance, WORD, st.integers(0, 0xFFFF))
    macs = st.builds(Mac, st.integers(0, (1 << 48) - 1))
    four, six = (
        draw(
            st.lists(st.tuples(st.builds(Station, st.tuples(st.just(version), address), macs), distances), max_size=20)
        )
        for version, address in ((4, WORD), (6, st.integers(0, (1 << 128) - 1)))
    )
    head = (draw(LONG), draw(WORD), draw(WORD), draw(WORD))
    return Update(*head, draw(WORD), draw(WORD), draw(WORD), draw(WORD), draw(WORD), (*four, *six))


@settings(max_examples=200, deadline=None)
@given(updates(), st.binary(min_size=32), st.integers(0, 40))
def test_an_update_that_is_written_is_read(update: Update[Station, Distance], secret: bytes, padding: int) -> None:
    key, source = NetworkKeys.of(secret), Mac(1)
    body = key.sign(encode_update(update), source) + bytes(padding)

    assert decode_update(body) == update
    assert key.look(body, source.packed) is Hashed.RIGHT
    assert update_kind(frame(body, source)) == UPDATE


def needs() -> st.SearchStrategy[Need]:
    """Any need that may be told."""
    addresses = st.tuples(st.just(4), WORD) | st.tuples(st.just(6), st.integers(0, (1 << 128) - 1))
    macs = st.tuples(st.just(0), st.integers(0, (1 << 48) - 1))
    return (
        st.builds(Need, st.just(NeedKind.CONTROLLER), addresses, st.integers(1, 0xFFFF), st.booleans())
        | st.builds(Need, st.just(NeedKind.NEXT_HOP), addresses, st.just(0), st.just(False))
        | st.builds(Need, st.just(NeedKind.SERVER), addresses, st.just(0), st.just(False))
        | st.builds(Need, st.just(NeedKind.CLIENT), macs, st.just(0), st.just(False))
    )


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(needs(), st.builds(Distance, WORD, st.integers(0, 0xFFFF))), max_size=30), st.integers(0, 40))
def test_needs_that_are_written_are_read(records: list[tuple[Need, Distance]], padding: int) -> None:
    key, source, told = NetworkKeys.of(b"k" * 32), Mac(1), Update(1, 2, 3, 4, 5, 6, 7, 8, 9, tuple(records))
    body = key.sign(encode_needs(told), source) + bytes(padding)

    assert decode_needs(body) == told
    assert key.look(body, source.packed) is Hashed.RIGHT
    assert update_kind(frame(body, source)) == NEEDS


@settings(max_examples=200, deadline=None)
@given(hellos(), st.binary(min_size=32), st.binary(min_size=32), st.integers(0, (1 << 48) - 1), st.integers(0, 40))
def test_a_signed_one_is_the_same_and_right_by_its_key_alone(
    hello: Hello, secret: bytes, other: bytes, source: int, padding: int
) -> None:
    key, strange = NetworkKeys.of(secret), NetworkKeys.of(other)
    body = key.sign(encode(hello), Mac(source)) + bytes(padding)

    assert decode(body) == hello
    assert key.look(body, Mac(source).packed) is Hashed.RIGHT
    assert key.look(body, Mac(source ^ 1).packed) is Hashed.WRONG
    assert (strange.look(body, Mac(source).packed) is Hashed.RIGHT) is (secret == other)


def _is_told_as_it_is(name: str) -> bool:
    return name.isprintable() and "\ufffd" not in name


@st.composite
def descriptions(draw: st.DrawFn) -> Description:
    """Any description within its limits: what is of IPv4 comes first."""
    links = st.builds(DescribedLink, WORD, LONG, WORD, st.booleans())
    ways = st.builds(ControlWay, st.ip_addresses(), st.booleans(), WORD, st.lists(WORD, max_size=6).map(tuple))
    return Description(
        draw(st.text(st.characters(exclude_categories=("C", "Z")), max_size=8).filter(_is_told_as_it_is)),
        tuple(sorted(draw(st.lists(st.ip_addresses(), max_size=MAX_ADDRESSES)), key=lambda each: each.version)),
        tuple(draw(st.lists(links, max_size=MAX_LINKS))),
        tuple(sorted(draw(st.lists(ways, max_size=MAX_WAYS)), key=lambda way: way.address.version)),
    )


@settings(max_examples=200, deadline=None)
@given(descriptions(), WORD, LONG, st.binary(min_size=32), st.integers(0, 40))
def test_a_description_that_is_written_is_read_out_of_a_message(
    each: Description, number: int, switch: int, secret: bytes, padding: int
) -> None:
    key, source = NetworkKeys.of(secret), Mac(1)
    record = NodeRecord(number, encode_description(each))
    body = key.sign(encode_map(Update(1, 2, 3, 4, 5, 6, 7, records=((switch, record),))), source) + bytes(padding)

    ((found, told),) = decode_map(body).records

    assert (found, told, decode_description(told.body)) == (switch, record, each)
    assert key.look(body, source.packed) is Hashed.RIGHT
    assert update_kind(frame(body, source)) == MAP
