/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * A packet's way through the tables: rule after rule says what is done to it, and in which table it goes on. What they
 * say becomes one list of ops, and only when all is said is it done. So whatever cannot be decided on the way goes up
 * as it came.
 *
 * Later tables look at the packet as ops have made it: its key here follows them, as inband/pipeline/packet_state.py
 * does. An op on a header that the packet does not have is left out.
 */
#ifndef INBAND_WALK_H
#define INBAND_WALK_H

#include "actions.h"
#include "groups.h"
#include "rules.h"

#define GOES_UP -1
#define ENDS 0 /* there is no table 0 to go on in */
#define FINDS_NO_RULE -3
#define GOES_ON -4 /* table 0 does not say it all */
/* That is how many tags a key has. */
#define TAGS_OF_KEY 2

/* What an op does to the key. */
enum change { CHANGE_UNSURE, CHANGE_NONE, CHANGE_DONE };

static __always_inline enum change put_tag(struct walk *walk, const struct op *op)
{
	if (op->arg8 && walk->key.vlan_be)
		return CHANGE_NONE;
	walk->key.inner_vlan_be = walk->key.vlan_be;
	walk->key.vlan_be |= bpf_htons(VLAN_PRESENT);
	if (walk->known_tags < TAGS_OF_KEY)
		walk->known_tags++;
	return CHANGE_DONE;
}

static __always_inline enum change take_tag(struct walk *walk)
{
	if (!walk->key.vlan_be)
		return CHANGE_NONE;
	if (walk->known_tags < TAGS_OF_KEY)
		return CHANGE_UNSURE;
	walk->known_tags--;
	walk->key.vlan_be = walk->key.inner_vlan_be;
	walk->key.inner_vlan_be = 0;
	return CHANGE_DONE;
}

static __always_inline enum change change_tag(struct walk *walk, const struct op *op)
{
	__be16 mask_be = bpf_htons(op->arg32);

	if (!walk->key.vlan_be)
		return CHANGE_NONE;
	walk->key.vlan_be = (walk->key.vlan_be & ~mask_be) | bpf_htons(op->arg16);
	return CHANGE_DONE;
}

/* A TTL that is spent is the controller's business; so is one in a header that is cut. */
static __always_inline enum change spend_ttl(struct walk *walk)
{
	__u16 eth_type = bpf_ntohs(walk->key.eth_type_be);

	if (eth_type != ETH_IPV4 && eth_type != ETH_IPV6)
		return CHANGE_NONE;
	if (walk->key.ip_ttl <= 1)
		return CHANGE_UNSURE;
	walk->key.ip_ttl--;
	return CHANGE_DONE;
}

static __always_inline enum change change_port(struct walk *walk, const struct places *places, const struct op *op)
{
	if (places->transport != op->arg8)
		return CHANGE_NONE;
	if (walk->key.ip_frag)
		return CHANGE_UNSURE;
	if (op->kind == OP_SET_PORT_SRC)
		walk->key.transport.src_be = op->arg16;
	else
		walk->key.transport.dst_be = op->arg16;
	return CHANGE_DONE;
}

static __always_inline enum change change_ipv6(struct walk *walk, const struct places *places, const struct op *op)
{
	__u32 word = op->arg8;
	__be32 *words = (__be32 *)walk->key.ipv6.src; /* the destination's follow */

	if (places->ip_version != 6)
		return CHANGE_NONE;
	if (op->kind == OP_SET_IPV6_LABEL)
		walk->key.ipv6.flow_label_be = op->arg32;
	else if (word < 2 * WORDS_OF_IPV6_ADDRESS)
		words[word] = op->arg32;
	return CHANGE_DONE;
}

static __always_inline enum change change_ip(struct walk *walk, const struct places *places, const struct op *op)
{
	struct flow_key *key = &walk->key;

	if (!places->ip_version)
		return CHANGE_NONE;
	if (op->kind == OP_SET_IP_TTL)
		key->ip_ttl = op->arg8;
	else if (op->kind == OP_SET_IP_TOS)
		key->ip_tos = (key->ip_tos & ~op->arg16) | (op->arg8 & op->arg16);
	else if (places->ip_version != 4)
		return CHANGE_NONE;
	else if (op->kind == OP_SET_IPV4_SRC)
		key->ipv4.src_be = op->arg32;
	else
		key->ipv4.dst_be = op->arg32;
	return CHANGE_DONE;
}

static __always_inline enum change change_eth_word(struct walk *walk, const struct op *op)
{
	__be16 *words_be = (__be16 *)walk->key.eth_dst; /* the source's follow */
	__u32 word = op->arg8;

	if (word >= WORDS_OF_ETH_ADDRESSES)
		return CHANGE_UNSURE;
	words_be[word] = (words_be[word] & bpf_htons(~op->arg32)) | bpf_htons(op->arg16);
	return CHANGE_DONE;
}

static __always_inline enum change change_key(struct walk *walk, const struct places *places, const struct op *op)
{
	switch (op->kind) {
	case OP_SET_QUEUE:
	case OP_METER:
		return CHANGE_DONE;
	case OP_PUSH_VLAN:
		return put_tag(walk, op);
	case OP_POP_VLAN:
		return take_tag(walk);
	case OP_SET_VLAN:
		return change_tag(walk, op);
	case OP_SET_ETH_DST:
		__builtin_memcpy(walk->key.eth_dst, &op->arg16, 6);
		return CHANGE_DONE;
	case OP_SET_ETH_SRC:
		__builtin_memcpy(walk->key.eth_src, &op->arg16, 6);
		return CHANGE_DONE;
	case OP_SET_ETH_WORD:
		return change_eth_word(walk, op);
	case OP_DEC_IP_TTL:
		return spend_ttl(walk);
	case OP_SET_IPV4_SRC:
	case OP_SET_IPV4_DST:
	case OP_SET_IP_TOS:
	case OP_SET_IP_TTL:
		return change_ip(walk, places, op);
	case OP_SET_IPV6_WORD:
	case OP_SET_IPV6_LABEL:
		return change_ipv6(walk, places, op);
	case OP_SET_PORT_SRC:
	case OP_SET_PORT_DST:
		return change_port(walk, places, op);
	}
	return CHANGE_UNSURE;
}

/* One op more, done to the key; 0: it cannot be. */
__noinline int take_op(struct walk *walk, const struct packet *packet, const struct op *op)
{
	if (!walk || !packet || !op)
		return 0;
	bool sends = is_output(op);
	if (sends && op->arg16 == packet->port_slot)
		return 1; /* to go back needs IN_PORT */
	if (walk->is_spoiled && (sends || op->kind == OP_METER))
		return 0;
	enum change change = sends ? CHANGE_DONE : change_key(walk, &packet->places, op);
	if (change != CHANGE_DONE)
		return change == CHANGE_NONE;
	__u32 at = walk->entry.op_count;
	if (at >= MAX_OPS)
		return 0;
	walk->entry.ops[at] = *op;
	walk->entry.op_count = at + 1;
	if (sends || op->kind == OP_METER)
		walk->length = at + 1;
	if (sends)
		walk->sends = 1;
	else if (walk->is_branch)
		walk->has_edits = 1;
	if (op->kind == OP_SET_ETH_SRC || (op->kind == OP_SET_ETH_WORD && op->arg8 >= FIRST_WORD_OF_SOURCE))
		walk->has_source = 1;
	return 1;
}

/* To where it came from; 0: it cannot be. */
static __always_inline int send_back(struct walk *walk, const struct packet *packet)
{
	__u32 at = walk->entry.op_count;

	if (!has_flag(packet->port_slot, INLET_SENDS))
		return 1;
	if (walk->is_spoiled || at >= MAX_OPS)
		return 0;
	struct op op = { .kind = OP_OUTPUT, .arg16 = packet->port_slot };
	walk->entry.ops[at] = op;
	walk->entry.op_count = walk->length = at + 1;
	walk->sends = 1;
	return 1;
}

/* A copy of the packet is done, and the packet itself goes on as it was before. */
static __always_inline void join(struct walk *walk)
{
	walk->key = walk->saved;
	walk->fields = walk->saved_fields;
	walk->known_tags = walk->saved_tags;
	walk->is_spoiled |= walk->has_edits;
	walk->is_branch = walk->has_edits = 0;
}

static __always_inline void branch(struct walk *walk)
{
	walk->saved = walk->key;
	walk->saved_fields = walk->fields;
	walk->saved_tags = walk->known_tags;
	walk->is_branch = 1;
}

/* NORMAL; 0: not behind what cannot be done before it. A source that was written says nothing of where a host is. */
static __always_inline int send_by_normal(struct walk *walk)
{
	__u32 at = walk->entry.op_count;

	if (walk->is_normal || walk->is_spoiled || walk->has_source || at >= MAX_OPS)
		return 0;
	struct op op = { .kind = OP_NORMAL };
	walk->entry.ops[at] = op;
	walk->entry.op_count = walk->length = at + 1;
	walk->seen_by_normal = walk->key;
	walk->is_normal = 1;
	return 1;
}

static __always_inline void go_to_group(struct walk *walk, const struct op *op)
{
	walk->has_group = 1;
	walk->group = op->arg32;
}

/* Set a word of the pipeline's fields, or some bits of it; 0: there is none like that. */
static __always_inline int set_field(struct walk *walk, const struct op *op)
{
	__u32 *words = (__u32 *)&walk->fields;
	__u32 at = op->arg8;

	if (at >= 2 * FIELD_WORDS)
		return 0;
	words[at] = op->kind == OP_LOAD_FIELD  ? op->arg32 :
		    op->kind == OP_CLEAR_BITS ? words[at] & ~op->arg32 :
						 words[at] | op->arg32;
	return 1;
}

/* Move bits within one word to some of another; 0: there are none like that. */
__noinline int move_bits(struct walk *walk, const struct op *op)
{
	if (!walk || !op)
		return 0;
	__u32 *words = (__u32 *)walk;
	__u32 from = op->arg16 >> MOVED_SHIFT, to = op->arg32 >> MOVED_SHIFT;
	__u32 right = op->arg16 & 31, left = op->arg32 & 31, ones = 0xffffffff >> ((32 - op->arg8) & 31);

	if (from >= MOVED_WORDS || to < FIRST_FIELD_WORD || to >= MOVED_WORDS)
		return 0;
	__u32 word = from < FIRST_FIELD_WORD ? bpf_ntohl(words[from]) : words[from];
	words[to] = (words[to] & ~(ones << left)) | (word >> right & ones) << left;
	return 1;
}

/* An edit whose value has been moved to scratch. Not a function of its own: calls are as deep as they may be. */
static __always_inline int take_moved(struct walk *walk, const struct packet *packet, const struct op *op, __u32 from)
{
	if (from >= SCRATCH_WORDS)
		return 0;
	__u32 value = walk->scratch[from];
	struct op edit = *op;

	switch (op->kind) {
	case OP_SET_VLAN:
	case OP_SET_ETH_WORD:
		edit.arg16 = value & op->arg32;
		break;
	case OP_SET_IP_TOS:
		edit.arg8 = value & op->arg16;
		break;
	case OP_SET_IP_TTL:
		edit.arg8 = value;
		break;
	case OP_SET_PORT_SRC:
	case OP_SET_PORT_DST:
		edit.arg16 = bpf_htons(value);
		break;
	case OP_SET_IPV6_LABEL:
		edit.arg32 = bpf_htonl(value & FLOW_LABEL_BITS); /* the word may have had a longer value before */
		break;
	default:
		edit.arg32 = bpf_htonl(value);
	}
	return take_op(walk, packet, &edit);
}

/* One op of a rule or a bucket: done now, written, or a group to go to; 0: it cannot be. */
__noinline int follow_op(struct walk *walk, const struct packet *packet, const struct op *op)
{
	if (!walk || !packet || !op)
		return 0;
	__u32 to = walk->write_to, value_from = walk->value_from;
	walk->write_to = walk->value_from = 0;
	if (value_from)
		return take_moved(walk, packet, op, value_from - 1);
	if (to && to <= MAX_WRITTEN) {
		walk->set[to - 1] = *op;
		walk->has_set = 1;
	} else if (op->kind == OP_WRITE) {
		walk->write_to = op->arg8 + 1;
	} else if (op->kind == OP_CLEAR) {
		__builtin_memset(walk->set, 0, sizeof(walk->set));
		walk->has_set = 0;
	} else if (op->kind == OP_BRANCH) {
		branch(walk);
	} else if (op->kind == OP_JOIN) {
		join(walk);
	} else if (op->kind == OP_SEND_BACK) {
		return send_back(walk, packet);
	} else if (op->kind == OP_NORMAL) {
		return send_by_normal(walk);
	} else if (op->kind == OP_GROUP) {
		go_to_group(walk, op);
	} else if (op->kind == OP_LOAD_FIELD || op->kind == OP_CLEAR_BITS || op->kind == OP_SET_BITS) {
		return set_field(walk, op);
	} else if (op->kind == OP_MOVE) {
		return move_bits(walk, op);
	} else if (op->kind == OP_VALUE) {
		walk->value_from = op->arg8 + 1;
	} else {
		return take_op(walk, packet, op);
	}
	return 1;
}

static __always_inline bool note_visit(struct walk *walk, __u32 slot)
{
	__u32 at = walk->visited;

	if (at >= MAX_VISITS)
		return false;
	walk->slots[at] = slot;
	walk->visited = at + 1;
	return true;
}

/* Do to the packet what a group says, and the group to which its bucket leads in turn; 0: it cannot be done. */
__noinline int follow_groups(struct walk *walk, const struct packet *packet)
{
	if (!walk || !packet)
		return 0;
	for (__u32 nested = 0; nested < MAX_NESTED && walk->has_group; nested++) {
		__u32 group_id = walk->group;
		struct group *group = bpf_map_lookup_elem(&groups, &group_id);
		if (!group)
			return 0;
		__u32 chosen = choose(&walk->key, group, group_id);
		if (chosen >= MAX_SHARES)
			return 0;
		__u32 slot = group->shares[chosen].slot;
		struct bucket *bucket = bpf_map_lookup_elem(&buckets, &slot);
		if (!bucket || !note_visit(walk, slot))
			return 0;
		walk->has_group = 0;
		for (__u32 i = 0; i < MAX_OPS && i < bucket->op_count; i++)
			if (walk->has_group || !follow_op(walk, packet, &bucket->ops[i]))
				return 0;
	}
	return !walk->has_group;
}

/* Do to the packet what a rule says: the table to go on in, ENDS or GOES_UP. */
__noinline int follow_rule(struct walk *walk, const struct packet *packet, const struct rule *rule)
{
	if (!walk || !packet || !rule || !note_visit(walk, rule->entry.slot))
		return GOES_UP;
	for (__u32 i = 0; i < MAX_OPS && i < rule->entry.op_count; i++)
		if (!follow_op(walk, packet, &rule->entry.ops[i]) || (walk->has_group && !follow_groups(walk, packet)))
			return GOES_UP;
	walk->fields.metadata = (walk->fields.metadata & ~rule->metadata_mask) | rule->metadata_bits;
	return rule->next_table;
}

/* Ask a later table; as follow_rule, or FINDS_NO_RULE. */
__noinline int visit_table(struct walk *walk, const struct packet *packet, const struct config *config,
			   const struct tables *now, __u32 table)
{
	if (!walk || !packet || !config || !now || table >= MAX_TABLES)
		return GOES_UP;
	const struct range *masks = &now->masks[table];
	__u32 place = classify(&walk->key, &walk->fields, config, masks->first, masks->count);
	struct rule *rule = place ? rule_of_mask(&walk->key, &walk->fields, config, place - 1) : NULL;
	if (!rule)
		return !now->misses[table] ? FINDS_NO_RULE : note_visit(walk, now->misses[table]) ? ENDS : GOES_UP;
	if (rule->decision == RULE_VISIT)
		return follow_rule(walk, packet, rule);
	if (rule->decision == RULE_NORMAL && send_by_normal(walk) && note_visit(walk, rule->entry.slot))
		return ENDS;
	return GOES_UP;
}

/* What was written, when the last table is left (OpenFlow 1.3.5, 5.10). */
static __always_inline bool run_set(struct walk *walk, const struct packet *packet)
{
	if (walk->has_set)
		for (__u32 i = 0; i < MAX_WRITTEN && !walk->has_group; i++)
			if (walk->set[i].kind && !follow_op(walk, packet, &walk->set[i]))
				return false;
	return !walk->has_group || follow_groups(walk, packet); /* outputs, whose place is behind groups, are ignored then */
}

/* Go all the way, from its rule in table 0: ENDS with ops, or another end, or GOES_UP. */
__noinline int walk_on(struct walk *walk, const struct packet *packet, const struct config *config,
		       const struct tables *now)
{
	if (!walk || !packet || !config || !now)
		return GOES_UP;
	struct rule *rule = rule_of_mask(&walk->key, NULL, config, walk->first);
	int next = rule ? follow_rule(walk, packet, rule) : GOES_UP;
	for (__u32 i = 1; i < MAX_TABLES && next > 0; i++)
		next = visit_table(walk, packet, config, now, next);
	if (next == ENDS && !run_set(walk, packet))
		next = GOES_UP;
	return next;
}

static __always_inline void begin_walk(struct walk *walk, const struct packet *packet)
{
	walk->key = packet->key;
	walk->visited = walk->length = walk->write_to = walk->value_from = walk->has_set = walk->entry.op_count = 0;
	walk->is_branch = walk->has_edits = walk->is_spoiled = walk->is_normal = walk->sends = walk->has_source = 0;
	walk->has_group = 0;
	walk->known_tags = TAGS_OF_KEY;
	__builtin_memset(&walk->fields, 0, sizeof(walk->fields));
	__builtin_memset(walk->set, 0, sizeof(walk->set));
}

/* Count a packet to all that it came by. */
__noinline int credit_walk(const struct walk *walk, const struct packet *packet)
{
	if (!walk || !packet)
		return 0;
	for (__u32 i = 0; i < MAX_VISITS && i < walk->visited; i++) {
		__u32 slot = walk->slots[i];
		credit(bpf_map_lookup_elem(&rule_stats, &slot), packet);
	}
	return 0;
}

#endif
