"""The resolver of remotes' names by transcripts: what it asks, whom it believes, and what it never forgets."""

from __future__ import annotations

from ipaddress import ip_address

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inband.control import name_events as ev
from inband.control.name_events import KnownAddress, Transport
from inband.control.names import (
    FIRST_WAIT_S,
    HOLD_S,
    LEAST_WAIT_S,
    MAX_HELD,
    MAX_QUESTIONS,
    MAX_TTL_S,
    MAX_WRONG,
    MIN_TTL_S,
)
from inband.packet.dns import Outcome
from tests.unit.control.names_scene import AAAA, NAME, S1, S2, A, Scene, denial, reply

# --- asking -------------------------------------------------------------------------------------------------------


def test_a_wanted_name_is_asked_for_at_once_in_both_families() -> None:
    scene = Scene()

    assert {(ask.rdtype, ask.server, ask.transport) for ask in scene.log} == {
        (A, S1, Transport.UDP),
        (AAAA, S1, Transport.UDP),
    }


def test_no_two_questions_look_alike() -> None:
    scene = Scene()
    scene.wait(20.0)

    assert len({ask.message for ask in scene.log}) == len(scene.log) > 10
    assert any(ask.message.count(b"x") for ask in scene.log)
    assert any(ask.message.count(b"X") for ask in scene.log)


def test_all_addresses_of_both_families_become_the_names() -> None:
    scene = Scene()
    scene.answer("10.0.0.1", "10.0.0.2")
    scene.answer("2001:db8::1", rdtype=AAAA)

    assert set(scene.known) == {"10.0.0.1", "10.0.0.2", "2001:db8::1"}
    assert not scene.asked


def test_a_silent_server_is_asked_again_ever_more_slowly() -> None:
    scene = Scene()
    scene.deny(AAAA)
    scene.wait(60.0)

    assert 12 < len([ask for ask in scene.log if ask.rdtype is A]) < 22


def test_several_servers_are_asked_in_turn_and_the_late_answer_of_the_first_counts() -> None:
    scene = Scene(S1, S2)
    first = scene.question(A, S1)
    scene.wait(FIRST_WAIT_S)

    assert scene.question(A).server == S2
    scene.tell(ev.AnswerReceived(first.ticket, reply(first, "10.0.0.1")))
    assert scene.known == ["10.0.0.1"]


def test_the_server_that_answered_is_asked_first_the_next_time() -> None:
    scene = Scene(S1, S2)
    scene.wait(FIRST_WAIT_S)
    scene.answer("10.0.0.1", ttl=100, server=S2)
    scene.log.clear()
    scene.wait(90.0)

    assert next(ask for ask in scene.log if ask.rdtype is A).server == S2


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.FORMERR])
def test_a_server_that_will_not_answer_is_passed_over_at_once(rcode: dns.rcode.Rcode) -> None:
    scene = Scene(S1, S2)
    scene.deny(A, rcode)

    assert scene.question(A).server == S2


def test_a_question_that_cannot_be_sent_goes_to_the_next_server_at_once() -> None:
    scene = Scene(S1, S2)
    scene.tell(ev.AskFailed(scene.question(A).ticket, "Network is unreachable"))

    assert scene.question(A).server == S2
    assert "Network is unreachable" in scene.status.problem


def test_news_from_the_network_end_the_wait_but_not_in_a_stream() -> None:
    scene = Scene()
    scene.wait(30.0)
    count = len(scene.log)

    for _ in range(100):
        scene.tell(ev.NetworkChanged())
        scene.wait(0.01)

    assert 1.0 / LEAST_WAIT_S * 2 - 4 <= len(scene.log) - count <= 1.0 / LEAST_WAIT_S * 2 + 4


def test_news_from_the_network_cost_nothing_when_all_is_known() -> None:
    scene = Scene()
    scene.answer("10.0.0.1")
    scene.deny(AAAA)
    count = len(scene.log)
    scene.wait(2.0)
    scene.tell(ev.NetworkChanged())

    assert len(scene.log) == count


def test_without_a_server_the_problem_is_named_and_a_new_server_is_asked_at_once() -> None:
    scene = Scene()
    scene.answer("10.0.0.1", ttl=5)
    scene.tell(ev.ServersFound(()))
    scene.wait(60.0)

    assert scene.status.problem == "no DNS server is known"
    scene.log.clear()
    scene.tell(ev.ServersFound((S2,)))
    assert {ask.server for ask in scene.log} == {S2}


def test_thousands_of_names_are_asked_for_a_few_at_a_time() -> None:
    scene = Scene()
    names = frozenset(f"c{number}.example.net" for number in range(2000))
    scene.tell(ev.NamesWanted(names))

    assert len(scene.asked) == MAX_QUESTIONS
    for _ in range(200):
        for ask in list(scene.asked.values()):
            scene.tell(ev.AnswerReceived(ask.ticket, reply(ask, *(["10.1.2.3"] if ask.rdtype is A else []))))
        scene.wait(0.05)
    assert len([name for name in names if scene.addresses.get(name)]) == 2000


def test_a_name_that_is_not_wanted_any_more_is_forgotten_with_its_questions() -> None:
    scene = Scene()
    scene.answer("10.0.0.1")
    scene.tell(ev.NamesWanted(frozenset()))

    assert scene.known == []
    assert not scene.asked
    assert scene.resolver.next_deadline() is None


# --- whom to believe ----------------------------------------------------------------------------------------------


def mangled(ask: ev.Ask, how: str) -> bytes:
    """An answer that is not one to this question."""
    good = reply(ask, "10.66.66.66")
    match how:
        case "another identifier":
            return bytes((good[0] ^ 1,)) + good[1:]
        case "another name":
            other = dns.message.make_query("www.example.org", "A", id=int.from_bytes(good[:2], "big"))
            response = dns.message.make_response(other)
            response.answer.append(dns.rrset.from_text("www.example.org.", 60, "IN", "A", "10.66.66.66"))
            return response.to_wire()
        case "another case":
            return good.swapcase()[:12].replace(good[:12].swapcase(), good[:12]) + good[12:].swapcase()
        case "another type":
            return reply(ev.Ask(0, ask.server, ask.transport, ask.message[:-3] + b"\x1c\0\x01", ask.name, AAAA), "::9")
        case "a question":
            return ask.message
        case "rubbish":
            return b"\xff" * 40
        case "cut":
            return good[:-3]
    raise AssertionError(how)


@pytest.mark.parametrize(
    "how", ["another identifier", "another name", "another case", "another type", "a question", "rubbish", "cut"]
)
def test_what_is_no_answer_to_the_question_is_counted_and_ignored(how: str) -> None:
    scene = Scene()
    ask = scene.question(A)
    scene.tell(ev.AnswerReceived(ask.ticket, mangled(ask, how)))

    assert scene.known == []
    assert scene.resolver.servers[0].ignored == 1
    scene.answer("10.0.0.1")
    assert scene.known == ["10.0.0.1"]


def test_an_answer_to_another_ticket_or_none_is_ignored() -> None:
    scene = Scene()
    ask = scene.question(A)
    scene.tell(ev.AnswerReceived(999, reply(ask, "10.66.66.66")))
    scene.tell(ev.AnswerReceived(scene.question(AAAA).ticket, reply(ask, "10.66.66.66")))

    assert scene.known == []


def test_a_server_that_changes_the_case_of_letters_is_asked_by_tcp() -> None:
    scene = Scene()
    ask = scene.question(A)
    scene.tell(ev.AnswerReceived(ask.ticket, mangled(ask, "another case")))

    assert scene.question(A).transport is Transport.TCP


def test_somebody_who_guesses_identifiers_makes_us_ask_by_tcp() -> None:
    scene = Scene()
    ask = scene.question(A)
    for _ in range(MAX_WRONG):
        scene.tell(ev.AnswerReceived(ask.ticket, mangled(ask, "another identifier")))

    assert scene.question(A).transport is Transport.TCP


def test_a_truncated_answer_is_asked_for_by_tcp() -> None:
    scene = Scene()
    ask = scene.question(A)
    cut = dns.message.from_wire(reply(ask))
    cut.flags |= dns.flags.TC
    scene.tell(ev.AnswerReceived(ask.ticket, cut.to_wire()))

    assert scene.question(A).transport is Transport.TCP
    scene.answer(*(f"10.0.1.{number}" for number in range(12)))
    assert len(scene.known) == 12


def test_a_tcp_connection_that_fails_leads_to_the_next_question() -> None:
    scene = Scene()
    ask = scene.question(A)
    scene.tell(ev.AnswerReceived(ask.ticket, mangled(ask, "another case")))
    scene.tell(ev.AskFailed(scene.question(A).ticket, "Connection refused"))
    scene.wait(2.0)

    assert scene.question(A).transport is Transport.UDP


def chain_of(ask: ev.Ask, length: int) -> bytes:
    """An answer by a chain of aliases."""
    query = dns.message.from_wire(ask.message)
    response = dns.message.make_response(query)
    owner = query.question[0].name
    for number in range(length):
        target = f"alias{number}.example.net."
        response.answer.append(dns.rrset.from_text(owner, 20 if number == 1 else 600, "IN", "CNAME", target))
        owner = dns.name.from_text(target)
    response.answer.append(dns.rrset.from_text(owner, 900, "IN", "A", "10.0.0.1"))
    return response.to_wire()


def test_aliases_are_followed_and_the_shortest_time_to_live_counts() -> None:
    scene = Scene()
    ask = scene.question(A)
    scene.tell(ev.AnswerReceived(ask.ticket, chain_of(ask, 3)))

    assert scene.known == ["10.0.0.1"]
    assert scene.status.addresses[0].until == scene.now + 20


def test_a_chain_of_aliases_without_end_is_no_answer() -> None:
    scene = Scene()
    ask = scene.question(A)
    scene.tell(ev.AnswerReceived(ask.ticket, chain_of(ask, 40)))

    assert scene.known == []
    assert scene.resolver.servers[0].ignored == 1


def test_addresses_that_no_host_can_have_are_left_out() -> None:
    scene = Scene()
    scene.answer("224.0.0.1", "0.0.0.0", "255.255.255.255", "10.0.0.1")
    scene.answer("ff02::1", "::", "fe80::1", "2001:db8::1", rdtype=AAAA)

    assert set(scene.known) == {"10.0.0.1", "2001:db8::1"}


# --- time to live -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ttl", "lives"), [(0, MIN_TTL_S), (300, 300.0), (10_000_000, MAX_TTL_S)])
def test_the_time_to_live_is_bounded_and_the_name_asked_for_again_before_its_end(ttl: int, lives: float) -> None:
    scene = Scene()
    scene.answer("10.0.0.1", ttl=ttl)
    scene.deny(AAAA)

    assert scene.status.addresses[0].until == scene.now + lives
    scene.log.clear()
    scene.wait(lives * 0.79)
    assert not [ask for ask in scene.log if ask.rdtype is A]
    scene.wait(lives * 0.02)
    assert [ask for ask in scene.log if ask.rdtype is A]


def test_the_same_answer_again_changes_nothing_whatever_its_order() -> None:
    scene = Scene()
    scene.answer("10.0.0.1", "10.0.0.2", ttl=100)
    changes = scene.changes
    scene.wait(81.0)
    scene.answer("10.0.0.2", "10.0.0.1")

    assert scene.changes == changes


def test_an_address_outlives_its_time_when_nobody_answers() -> None:
    scene = Scene()
    scene.answer("10.0.0.1", ttl=10)
    scene.wait(10 * HOLD_S)

    assert scene.known == ["10.0.0.1"]
    assert scene.status.addresses[0].until < scene.now
    assert "no answer" in scene.status.problem


@pytest.mark.parametrize("rcode", [dns.rcode.NXDOMAIN, dns.rcode.NOERROR])
def test_a_no_leaves_the_old_addresses_and_is_asked_again(rcode: dns.rcode.Rcode) -> None:
    scene = Scene()
    scene.answer("10.0.0.1", ttl=10)
    scene.deny(AAAA)
    scene.wait(8.0)
    scene.deny(A, rcode)

    assert scene.known == ["10.0.0.1"]
    assert scene.status.outcomes[1] in (Outcome.NO_NAME, Outcome.NO_DATA)
    assert scene.status.problem
    scene.wait(61.0)
    scene.answer("10.0.0.2")
    assert scene.known[0] == "10.0.0.2"


def test_a_name_of_one_family_has_no_problem() -> None:
    for first, second in ((A, AAAA), (AAAA, A)):
        scene = Scene()
        for rdtype in (first, second):
            if rdtype is A:
                scene.answer("10.0.0.1")
            else:
                scene.deny(AAAA, dns.rcode.NOERROR)
        assert scene.status.problem == ""


# --- old addresses ------------------------------------------------------------------------------------------------


def moved(*, ttl: int = 10) -> Scene:
    """A name that had one address and now has another."""
    scene = Scene()
    scene.deny(AAAA, dns.rcode.NOERROR)
    scene.answer("10.0.0.1", ttl=ttl)
    scene.connect("10.0.0.1")
    scene.wait(ttl * 0.8)
    scene.answer("10.0.0.2", ttl=86_400)
    return scene


def test_the_old_address_stays_behind_the_new_one_while_a_channel_stands_to_it() -> None:
    scene = moved()
    scene.wait(2 * HOLD_S)

    assert scene.known == ["10.0.0.2", "10.0.0.1"]
    assert [known.is_current for known in scene.status.addresses] == [True, False]


def test_the_old_address_stays_until_the_new_one_has_connected() -> None:
    scene = moved()
    scene.connect()
    scene.wait(5.0)

    assert scene.known == ["10.0.0.2", "10.0.0.1"]
    scene.connect("10.0.0.2")
    assert scene.known == ["10.0.0.2"]


def test_the_old_address_is_not_held_for_ever() -> None:
    scene = moved()
    scene.connect()
    scene.wait(HOLD_S + 1)

    assert scene.known == ["10.0.0.2"]


def test_an_old_address_that_comes_back_is_current_again() -> None:
    scene = moved()
    scene.wait(86_400 * 0.8 + 1)
    scene.answer("10.0.0.1")
    scene.connect()
    scene.wait(HOLD_S + 1)

    assert "10.0.0.1" in scene.known


def test_a_server_with_a_new_address_each_time_does_not_fill_the_memory() -> None:
    scene = Scene()
    for number in range(100):
        scene.answer(f"10.0.1.{number}", ttl=5)
        scene.wait(4.0)

    assert len(scene.known) <= MAX_HELD + 1


def test_one_family_is_given_up_when_the_other_one_works() -> None:
    scene = Scene()
    scene.answer("10.0.0.1")
    scene.answer("2001:db8::1", rdtype=AAAA, ttl=10)
    scene.wait(8.0)
    scene.deny(AAAA, dns.rcode.NOERROR)

    assert scene.known == ["10.0.0.1", "2001:db8::1"]
    scene.connect("10.0.0.1")
    assert scene.known == ["10.0.0.1"]


# --- dialling in vain ---------------------------------------------------------------------------------------------


def test_a_name_that_is_dialled_in_vain_is_asked_for_soon() -> None:
    scene = Scene()
    scene.answer("10.0.0.1", ttl=86_400)
    scene.deny(AAAA)
    scene.connect("10.0.0.1")
    scene.wait(50.0)
    scene.log.clear()
    scene.connect(failing=True)

    assert {ask.rdtype for ask in scene.log} >= {A}


def test_but_not_all_the_time() -> None:
    scene = Scene()
    scene.connect(failing=True)
    for _ in range(600):
        for ask in list(scene.asked.values()):
            scene.tell(ev.AnswerReceived(ask.ticket, reply(ask, *(["10.0.0.1"] if ask.rdtype is A else []))))
        scene.wait(1.0)

    assert len([ask for ask in scene.log if ask.rdtype is A]) < 25


def test_the_truth_of_the_second_server_is_found_beside_the_lie_of_the_first() -> None:
    scene = Scene(S1, S2)
    scene.deny(AAAA)
    scene.answer("10.66.66.66", ttl=86_400, server=S1)
    scene.connect(failing=True)
    scene.wait(1.5)
    scene.answer("10.0.0.1", server=S2)

    assert scene.known == ["10.0.0.1", "10.66.66.66"]
    scene.connect("10.0.0.1")
    assert scene.known == ["10.0.0.1"]
    scene.log.clear()
    scene.wait(250.0)
    assert next(ask for ask in scene.log if ask.rdtype is A).server == S2


# --- restart ------------------------------------------------------------------------------------------------------


def test_what_an_earlier_run_knew_is_used_at_once_and_asked_for_anew() -> None:
    scene = Scene()
    old = KnownAddress(ip_address("10.0.0.1"), scene.now + 50, S1)
    scene.tell(ev.Remembered(NAME, (old,)))

    assert scene.known == ["10.0.0.1"]
    assert scene.question(A)
    scene.answer("10.0.0.2")
    assert scene.known == ["10.0.0.2", "10.0.0.1"]


def test_a_memory_does_not_replace_an_answer() -> None:
    scene = Scene()
    scene.answer("10.0.0.2")
    scene.tell(ev.Remembered(NAME, (KnownAddress(ip_address("10.0.0.1"), scene.now + 50, S1),)))

    assert scene.known == ["10.0.0.2"]


# --- whatever comes -----------------------------------------------------------------------------------------------

ADDRESSES = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
steps = st.lists(
    st.one_of(
        st.tuples(st.just("answer"), st.lists(st.sampled_from(ADDRESSES), max_size=2), st.integers(0, 100)),
        st.tuples(st.just("deny"), st.sampled_from([0, 2, 3]), st.integers(0, 100)),
        st.tuples(st.just("rubbish"), st.binary(max_size=40), st.just(0)),
        st.tuples(st.just("connected"), st.lists(st.sampled_from(ADDRESSES), max_size=2), st.booleans()),
        st.tuples(st.just("servers"), st.lists(st.sampled_from([S1, S2]), max_size=2), st.just(0)),
        st.tuples(st.just("network"), st.just(0), st.just(0)),
        st.tuples(st.just("wait"), st.floats(0, 5000), st.just(0)),
    ),
    max_size=25,
)


def play(scene: Scene, kind: str, what: object, how: int) -> None:
    """One step; questions of type A are answered."""
    asks = [ask for ask in scene.asked.values() if ask.rdtype is A]
    match kind, what:
        case "answer", list() if asks:
            scene.tell(ev.AnswerReceived(asks[0].ticket, reply(asks[0], *dict.fromkeys(what), ttl=how)))
        case "deny", int() if asks:
            scene.tell(ev.AnswerReceived(asks[0].ticket, denial(asks[0], dns.rcode.Rcode(what), how)))
        case "rubbish", bytes() if asks:
            scene.tell(ev.AnswerReceived(asks[0].ticket, asks[0].message[:2] + what))
        case "connected", list():
            scene.connect(*what, failing=bool(how))
        case "servers", list():
            scene.tell(ev.ServersFound(tuple(what)))
        case "network", _:
            scene.tell(ev.NetworkChanged())
        case "wait", float():
            scene.wait(what)


@settings(max_examples=150, deadline=None)
@given(steps)
def test_an_address_in_use_is_never_taken_away_and_the_resolver_always_has_something_to_wait_for(
    transcript: list[tuple[str, object, int]],
) -> None:
    scene, connected = Scene(S1, S2), frozenset[str]()
    for kind, what, how in transcript:
        before = set(scene.known)
        play(scene, kind, what, how)
        if kind == "connected" and isinstance(what, list):
            connected = frozenset(what)

        assert before & connected <= set(scene.known), "an address that a channel stands to was taken away"
        assert not before or scene.known, "the last address was taken away"
        assert len(scene.asked) <= MAX_QUESTIONS
        if scene.resolver.servers:
            assert scene.resolver.next_deadline() is not None
