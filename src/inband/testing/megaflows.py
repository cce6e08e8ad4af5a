"""Megaflows for tests: decisions that no pipeline has made."""

from __future__ import annotations

from inband.datapath.base import Datapath, Megaflow
from inband.flow.actions import DatapathAction
from inband.flow.fields import FlowKey
from inband.flow.match import Match
from inband.pipeline.translation import Translation


def megaflow_of(match: Match, actions: tuple[DatapathAction, ...], *, is_known_unicast: bool = False) -> Megaflow:
    """A cached decision to do ``actions`` with each packet that matches."""
    return Megaflow(match, Translation(actions, match.mask, is_known_unicast=is_known_unicast))


def install(datapath: Datapath, megaflow: Megaflow) -> None:
    """Cache a decision as one for the packet that has only what it matches."""
    datapath.install(megaflow, FlowKey(megaflow.match.value))
