"""The group action (OpenFlow 1.3.5, 5.6.1): buckets process copies of the packet; the packet itself stays as it is.

What runs the actions that buckets hold is an argument (``RunActions``).
"""

from __future__ import annotations

from inband.pipeline.action_set import ActionSet
from inband.pipeline.context import MAX_DEPTH, MAX_LOOKUPS, RunActions, XlateContext
from inband.pipeline.group_choice import choose
from inband.table.groups import GroupBucket


def apply_group(ctx: XlateContext, group_id: int, run: RunActions) -> None:
    """Have a group process copies of the packet."""
    groups = ctx.switch.tables.groups
    group = groups.get(group_id)
    if group is None:
        ctx.drop(f"there is no group {group_id}")
        return
    if ctx.depth >= MAX_DEPTH:
        ctx.give_up("over 64 groups within one another")
        return
    ctx.counters.append(group.counter)
    buckets = choose(group, ctx.packet, ctx.switch.ports, groups)
    ctx.note(f"group {group_id} ({group.type.name.lower()}): {len(buckets)} of {len(group.buckets)} buckets")
    if not buckets:
        ctx.drop(f"no bucket of group {group_id} takes it")
    for bucket in buckets:
        _apply_bucket(ctx, bucket, run)


def _apply_bucket(ctx: XlateContext, bucket: GroupBucket, run: RunActions) -> None:
    """Run a bucket's actions, which are an action set (5.10), on a copy; what ends the copy ends nothing else."""
    if len(ctx.counters) >= MAX_LOOKUPS:
        ctx.give_up("over 4,096 buckets for one packet: groups that multiply without end")
    if ctx.is_stopped:
        return
    ctx.counters.append(bucket.counter)
    before, program = ctx.packet.save(), ctx.program
    ctx.program = program.branch()
    actions = ActionSet()
    actions.write(bucket.bucket.actions)
    ctx.depth += 1
    run(ctx, actions.in_order())
    ctx.list_ended = False
    ctx.depth -= 1
    program.join(ctx.program)
    ctx.program = program
    ctx.packet.restore(before)
    ctx.is_stopped = ctx.is_exhausted
