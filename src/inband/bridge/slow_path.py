"""The slow path: what becomes of a frame that no cached decision matches, and of a PACKET_OUT.

A decision is made by the pipeline, carried out by the datapath, counted, and cached when it holds for more than this
frame. The frame leaves first: it has waited, and whoever comes next has to wait for the cache in any case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from inband.bridge.admission import Admission
from inband.bridge.megaflows import MegaflowCache
from inband.datapath.base import Counters, Datapath
from inband.flow.actions import Action
from inband.flow.fields import FIELDS, FlowKey
from inband.flow.match import VID_BITS, Match
from inband.flow.ports import PortNo
from inband.packet.frame import Frame
from inband.packet.parse import parse
from inband.pipeline.translate import Pipeline
from inband.pipeline.translation import Translation
from inband.vocabulary.addresses import Mac
from inband.vocabulary.instant import Instant

_ETH_SRC, _VLAN_VID = FIELDS["eth_src"], FIELDS["vlan_vid"]


class SlowPath:
    """Decides about single frames. Work per frame is the pipeline's, plus one entry of the cache."""

    def __init__(
        self,
        pipeline: Pipeline,
        megaflows: MegaflowCache,
        datapath: Datapath,
        counters: Counters,
        place_lost: Callable[[Mac], None],
        follow_places: Callable[[], None],
    ) -> None:
        """``place_lost`` hears of packets of in-band control that are flooded: where their destination is, is lost.

        ``follow_places`` is called when a packet has proven where a station is, or contradicted that; also for news of
        DHCP servers.
        """
        self._pipeline = pipeline
        self._places, self._lease_servers = pipeline.places, pipeline.lease_servers
        self._follow_places = follow_places
        self._megaflows = megaflows
        self._datapath = datapath
        self._counters = counters
        self._admission = Admission()
        self._place_lost = place_lost

    def receive(self, in_port: PortNo, frame: Frame, key: FlowKey, now: Instant) -> bool:
        """Decide about a received frame; ``key`` is it parsed. Whether the decision was cached."""
        translation = self._pipeline.translate(key, frame, now)
        self._megaflows.follow_fdb()
        if translation.waits_for is not None and self._pipeline.waiting.hold(translation.waits_for, in_port, frame):
            self._counters.add("waited_for_way")
            return False
        self._pipeline.credit(translation, frame.segments, len(frame.data), now)
        if translation.actions:
            self._datapath.execute(in_port, frame, translation.actions)
        else:
            self._counters.add(f"dropped: {translation.drop_reason or 'no action'}")
        if translation.lost is not None:
            self._place_lost(translation.lost)
        if self._places.news or self._lease_servers.news:
            self._follow_places()
        return self._cache(key, translation, now)

    def told(self, in_port: PortNo, frame: Frame, key: FlowKey, now: Instant) -> bool:
        """Learn from a frame that the datapath has decided by the tables itself, headers of which are here.

        It was sent and is counted there. Whether the decision about frames like it was cached.
        """
        translation = self._pipeline.translate(key, frame, now)
        if translation.source is None:  # perhaps it was learned there, by flows that have changed since
            fdb = self._pipeline.fdb
            fdb.disown(fdb.key(_VLAN_VID.get(key) & VID_BITS, _ETH_SRC.get(key)))
        self._megaflows.follow_fdb()
        return self._cache(key, translation, now)

    def _cache(self, key: FlowKey, translation: Translation, now: Instant) -> bool:
        if not translation.cacheable:
            return False
        match = Match(key & translation.mask, translation.mask)
        is_known = self._admission.is_known(match, now)  # asked in any case: it remembers
        if self._datapath.is_behind and not is_known:
            self._counters.add("not cached: first of its kind while frames wait")
            return False
        self._megaflows.install(key, match, translation, now)
        return True

    def packet_out(self, in_port: PortNo, frame: Frame, actions: Iterable[Action], now: Instant) -> None:
        """Do with a controller's frame what it says."""
        key = parse(frame.data, in_port)
        translation = self._pipeline.translate_actions(actions, in_port, key, frame, now)
        self._megaflows.follow_fdb()
        self._pipeline.credit(translation, frame.segments, len(frame.data), now)
        self._datapath.execute(in_port, frame, translation.actions)
