"""Questions to this machine's kernel that need no privilege, and what becomes of refusals and rubbish."""

from __future__ import annotations

import errno

import pytest

from inband.errors import HostError
from inband.host import codec, rtnetlink
from inband.host.requests import Requests


def test_the_loopback_interface_is_found_by_name_and_by_index() -> None:
    with Requests() as requests:
        link = requests.link("lo")

        assert link is not None
        assert link.loopback
        assert requests.link_at(link.index) == link


def test_an_interface_that_is_not_there_is_none() -> None:
    with Requests() as requests:
        assert requests.link("nlknothere") is None
        assert requests.link_at(0x7FFFFFF0) is None


def test_all_addresses_come_in_a_dump() -> None:
    with Requests() as requests:
        wanted = rtnetlink.all_addresses()
        found = requests.ask("list", rtnetlink.RTM_GETADDR, wanted, rtnetlink.read_address, dump=True)

    assert all(each.interface_index > 0 for each in found)


def test_a_refusal_is_a_host_error_that_says_what_was_refused_and_why() -> None:
    with Requests() as requests, pytest.raises(HostError, match=r"^look: Invalid argument$") as refusal:
        requests.change("look", rtnetlink.RTM_GETLINK, 0, rtnetlink.link_body(0))

    assert refusal.value.errno == errno.EINVAL
    assert not refusal.value.temporary


def test_a_refused_question_leaves_the_next_one_its_own_answer() -> None:
    with Requests() as requests:
        with pytest.raises(HostError):
            requests.ask("look", rtnetlink.RTM_GETLINK, rtnetlink.link_body(0), rtnetlink.read_link)

        assert requests.link("lo") is not None


def test_an_answer_that_cannot_be_read_is_a_host_error_that_names_it() -> None:
    with Requests() as requests, pytest.raises(HostError, match="look: RTM_NEWLINK cannot be read: 10 bytes are fewer"):
        requests.ask("look", rtnetlink.RTM_GETLINK, rtnetlink.link_body(1), lambda body: rtnetlink.read_link(body[:10]))


def test_of_changes_made_together_a_refused_one_is_told_and_the_next_answer_is_its_own() -> None:
    look = rtnetlink.link_question(0, codec.text(rtnetlink.IFLA_IFNAME, "lo"))
    nowhere = rtnetlink.link_question(0x7FFFFFF0)

    with Requests() as requests:
        requests.change_together("look twice", (rtnetlink.RTM_GETLINK, 0, look), (rtnetlink.RTM_GETLINK, 0, look))
        with pytest.raises(HostError, match="look: No such device"):
            requests.change_together("look", (rtnetlink.RTM_GETLINK, 0, nowhere), (rtnetlink.RTM_GETLINK, 0, look))

        assert requests.link("lo") is not None
