"""Messages of a network with a key: whose count, which do not, and what is said of those."""

from __future__ import annotations

import pytest

from inband.errors import WireError
from inband.fabric import events as ev
from inband.fabric.events import LinkState
from inband.fabric.hello import HASH_BYTES, Change, Hello, body_of, decode, encode, frame
from inband.fabric.keys import Hashed, NetworkKeys
from inband.vocabulary.addresses import Mac
from tests.unit.fabric.pair import P1, P2, Row

KEY, OTHER = NetworkKeys.of(b"k" * 32), NetworkKeys.of(b"o" * 32)
BOTH = NetworkKeys.of(b"o" * 32, b"k" * 32)
SOURCE = Mac(0x0200000000AA)
HELLO = Hello(2, 3, 4, 5, 20, 20)


def keyed(count: int) -> Row:
    """Switches with one key in a row, which know each other."""
    row = Row(count, keys=[KEY] * count)
    row.carry_control(*((at, P1) for at in range(1, count)))
    row.run(2.0)
    return row


def sent_to(row: Row, at: int) -> list[bytes]:
    """The frames that arrived at a switch's first port."""
    return [data for to, port, data in row.frames if (to, port) == (at, P1)]


def test_a_signed_message_is_read_and_its_hash_is_right() -> None:
    body = KEY.sign(encode(HELLO), SOURCE)

    assert decode(body) == HELLO
    assert decode(body + bytes(30)) == HELLO, "a card pads with zeros"
    assert KEY.look(body, SOURCE.packed) is KEY.look(body + bytes(30), SOURCE.packed) is Hashed.RIGHT


def test_another_key_another_sender_or_no_hash_are_told_apart() -> None:
    body = KEY.sign(encode(HELLO), SOURCE)

    assert OTHER.look(body, SOURCE.packed) is Hashed.WRONG
    assert KEY.look(body, Mac(SOURCE + 1).packed) is Hashed.WRONG
    assert KEY.look(encode(HELLO), SOURCE.packed) is Hashed.MISSING
    assert BOTH.look(body, SOURCE.packed) is Hashed.RIGHT, "the second key is accepted"
    assert KEY.look(BOTH.sign(encode(HELLO), SOURCE), SOURCE.packed) is Hashed.WRONG, "the first one signs"


def test_no_bit_of_a_message_can_be_changed() -> None:
    body = KEY.sign(encode(HELLO), SOURCE)

    for bit in range(8 * len(body)):
        changed = bytearray(body)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            found = KEY.look(bytes(changed), SOURCE.packed)
        except WireError:
            continue
        assert found is not Hashed.RIGHT


def test_what_is_behind_the_hash_is_not_read() -> None:
    body = KEY.sign(encode(HELLO), SOURCE)

    assert decode(body + b"\x02\x06" + bytes(6)) == HELLO


def test_a_hash_of_another_length_is_refused() -> None:
    with pytest.raises(WireError, match="a hash of 15 bytes"):
        decode(encode(HELLO) + bytes((8, HASH_BYTES - 1)) + bytes(HASH_BYTES - 1))


def test_a_key_is_in_no_text() -> None:
    assert repr(KEY) == "NetworkKeys()"


def test_switches_with_one_key_know_each_other_a_moment_after_the_link_is_up() -> None:
    row = Row(2, keys=[KEY, KEY])

    row.run(0.05)

    assert row.state(0, P2) is row.state(1) is LinkState.TWO_WAY
    assert row.link(1).counters.bad_hash == 0


def test_switches_with_different_keys_are_none_to_each_other_and_say_so_once() -> None:
    row = Row(2, keys=[KEY, OTHER])

    row.run(20.0)

    assert row.state(0, P2) is row.state(1) is LinkState.UNKNOWN
    assert row.link(1).counters.bad_hash >= 10
    assert row.link(1).remark == "bad hash: its messages are signed with another network-key"
    assert [row.commands(at, ev.TellRefused) for at in (0, 1)] == [1, 1]


def test_where_one_has_a_key_and_one_has_none_both_say_so_once() -> None:
    row = Row(2, keys=[KEY, None])

    row.run(20.0)

    assert row.state(0, P2) is LinkState.UNKNOWN
    assert row.state(1) is LinkState.HEARD
    assert [row.commands(at, ev.TellRefused) for at in (0, 1)] == [1, 1]
    assert row.link(0, P2).remark == "its messages have no hash: it has no network-key"
    assert row.link(1).remark == "its messages are signed with a network-key, and this switch has none"


def test_what_was_recorded_does_not_count_again() -> None:
    row = keyed(2)
    received, recorded = row.link(1).counters.received, sent_to(row, 1)[-40:]

    for data in recorded:
        row.tell(1, ev.FrameReceived(P1, data))

    assert row.link(1).counters.received == received
    assert row.state(1) is LinkState.TWO_WAY


def test_what_was_recorded_of_an_earlier_boot_does_not_count_for_one_that_is_there() -> None:
    row = keyed(2)
    recorded = sent_to(row, 1)[-40:]
    row.restart(0, KEY)
    row.run(1.0)
    lost, received = row.commands(1, ev.ForgetPlaces), row.link(1).counters.received

    for data in recorded:
        row.tell(1, ev.FrameReceived(P1, data))

    assert row.link(1).counters.received == received
    assert row.state(1) is LinkState.TWO_WAY
    assert row.commands(1, ev.ForgetPlaces) == lost


def test_what_was_recorded_makes_no_neighbour_where_none_is() -> None:
    row = keyed(2)
    recorded = sent_to(row, 1)
    row.dead = {(0, 1), (1, 0)}
    row.restart(1, KEY)
    row.told[1].clear()
    changed = KEY.sign(encode(Hello(7, 8, 9, 10, 20, 20, changes=(Change(7, 8, 1, 9),))), SOURCE)

    for data in (*recorded, frame(changed, SOURCE)):
        row.tell(1, ev.FrameReceived(P1, data))
        row.run(0.01)

    assert row.state(1) is LinkState.HEARD
    assert row.commands(1, ev.DoubtPlaces) == 0
    assert row.commands(1, ev.TellNeighbour) == 0


def test_who_is_replayed_does_not_keep_the_true_neighbour_out() -> None:
    row = keyed(2)
    recorded = sent_to(row, 1)[-100:]
    row.restart(0, KEY)
    row.restart(1, KEY)

    for data in recorded:
        row.tell(1, ev.FrameReceived(P1, data))
        row.run(0.006)

    assert row.state(1) is row.state(0, P2) is LinkState.TWO_WAY


def test_a_neighbour_that_restarts_is_known_again_without_being_lost() -> None:
    row = keyed(2)

    row.restart(0, KEY)
    row.run(0.06)

    assert row.state(1) is row.state(0, P2) is LinkState.TWO_WAY
    assert row.link(1).counters.alarms == 0
    peer = row.link(1).peer
    assert peer is not None
    assert peer.boot == row.fabrics[0].boot


def test_keys_change_one_switch_after_the_other_and_no_neighbour_is_lost() -> None:
    row = keyed(3)
    old_then_new, new_then_old = NetworkKeys.of(b"k" * 32, b"o" * 32), BOTH

    for keys in (old_then_new, new_then_old, OTHER):
        for at in range(3):
            row.tell(at, ev.KeysChanged(keys))
            row.run(0.2)

    assert [row.commands(at, ev.TellNeighbour) for at in range(3)] == [1, 2, 1], "found, and never lost"
    assert all(row.link(at).counters.bad_hash == 0 for at in range(3))


def test_a_network_gets_a_key_and_neighbours_are_found_again() -> None:
    row = Row(2)
    row.carry_control((1, P1))
    row.run(2.0)

    for at in range(2):
        row.tell(at, ev.KeysChanged(KEY))
        row.run(1.5)

    assert row.state(0, P2) is row.state(1) is LinkState.TWO_WAY
    assert row.link(1).keyed


def test_messages_without_hash_are_as_bounded_as_others() -> None:
    row = keyed(2)

    for _ in range(1000):
        row.tell(1, ev.FrameReceived(P1, frame(encode(HELLO), SOURCE)))

    assert row.link(1).counters.bad_hash <= 50
    assert row.link(1).counters.flooded >= 940
    assert row.commands(1, ev.TellRefused) == 1


def test_a_hello_with_its_hash_is_no_longer_than_promised() -> None:
    row = keyed(2)
    lengths = {len(data) for data in sent_to(row, 1)[-40:]}

    assert min(lengths) == 78
    body = body_of(sent_to(row, 1)[-1])
    assert body is not None
    assert decode(body) is not None
