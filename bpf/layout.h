/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * What the program in the kernel and the switch in Python both read and write: the structs in the maps and in the
 * rings, and the numbers in them. `inband/datapath/ebpf/layout.py` says the same in Python; a test compares the two
 * through the type information in the built object, so a difference cannot be shipped.
 *
 * Maps are pinned and outlive the process: a change of anything here raises LAYOUT_VERSION, so that the next
 * switch does not take old bytes for new ones.
 */
#ifndef INBAND_LAYOUT_H
#define INBAND_LAYOUT_H

#include <linux/bpf.h>
#include <linux/types.h>

enum layout {
	LAYOUT_VERSION = 14,
	MAX_MASKS = 32,
	MAX_OPS = 32,
	MAX_PORTS = 1024, /* slots; slot 0 is "no such port" */
	MAX_MEGAFLOWS = 131072,
	CACHE_SIZE = 4096,
	KEY_WORDS = 12, /* of 64 bits, in a flow_key */
	SHORT_KEY = 5,	/* words with all that is of Ethernet, IPv4 and ports */
	REGISTER_WORDS = 5, /* of 64 bits: tunnel_id, and eight registers of 32 bits */
	FIELD_WORDS = 1 + REGISTER_WORDS, /* with the metadata */
	/* Words of 32 bits between which bits are moved, in this order: those of a flow_key, of the fields, of scratch. */
	FIRST_FIELD_WORD = 2 * KEY_WORDS,
	FIRST_SCRATCH_WORD = FIRST_FIELD_WORD + 2 * FIELD_WORDS,
	SCRATCH_WORDS = 4, /* as many as the longest field of a packet has */
	MOVED_WORDS = FIRST_SCRATCH_WORD + SCRATCH_WORDS,
	MOVED_SHIFT = 5, /* a place to move to or from: the word's number, then how many bits from its right end */
	MAX_RULES = 131072,
	MAX_RULE_MASKS = 256, /* of all tables */
	RULE_FILTER_WORDS = 32768, /* of 64 bits, of which each rule sets two; a power of two */
	MAX_TABLES = 64,
	MAX_WRITTEN = 24, /* places of the action set: one for each kind, in the order in which they run */
	MAX_VISITS = 80,  /* that is how many of a packet's tables and groups are counted */
	MAX_GROUPS = 16384,
	MAX_SHARES = 128, /* of a group: buckets of which each packet takes one */
	MAX_NESTED = 4,	  /* groups within one another's buckets */
	MAX_STATIONS = 16384,
	MAX_METERS = 4096,
	MAX_BANDS = 8, /* of a meter */
	MAX_METER_COUNTS = 16384, /* one for each meter and each band */
	CONTROL_RING = 2 * 1024 * 1024,
	DATA_RING = 2 * 1024 * 1024,
	MAX_BACKLOG = 512 * 1024, /* bytes that wait in a ring; more is as if it were full. The rest is for one giant. */
	/* Whole frames go up. Records come in five sizes, because the kernel wants to know them when it verifies. */
	UPCALL_SMALL = 256,
	UPCALL_MEDIUM = 2048,
	UPCALL_LARGE = 16 * 1024,
	UPCALL_HUGE = 66 * 1024,
	UPCALL_GIANT = 516 * 1024, /* Linux's GSO_MAX_SIZE is eight times 65,535 */
	/* Up to so much ARP and neighbour discovery of a port goes up. */
	DISCOVERY_PER_S = 1000,
	DISCOVERY_BURST_MS = 200,
	/* And of what stays on a link: neighbours' hellos, spanning tree, LLDP. */
	LINK_LOCAL_PER_S = 400,
	LINK_LOCAL_BURST_MS = 250,
	/* And of other control frames that no entry matches, unless the switch says otherwise. */
	CONTROL_PER_S = 1000,
	CONTROL_BURST_MS = 200,
	/* Of what is decided here the switch is told while no more than that waits in the ring, and so often for a port. */
	TOLD_BACKLOG = 64 * 1024,
	TOLD_PER_S = 1000,
	TOLD_BURST_MS = 200,
	/* So many stations of a port are learned here. */
	LEARNED_PER_S = 2000,
	LEARNED_BURST_MS = 500,
	SILENT_MS = 2000, /* what has waited so long in a ring waits for a process that is dead */
};

/*
 * A packet as flows see it, everything in network byte order, 0 where the packet has no such field. Fields that no
 * packet has together share their place, so a mask that looks at a shared place covers eth_type (and ip_proto) whole.
 */
struct flow_key {
	__be32 in_port_be;
	__be16 mask_id_be; /* in a mask and an entry's key: which mask it is, from 1; in a packet's all ones */
	__be16 eth_type_be;
	__u8 eth_dst[6];
	__u8 eth_src[6];
	__be16 vlan_be; /* PCP, OFPVID_PRESENT, VID */
	__u8 ip_tos;
	__u8 ip_proto;
	__u8 ip_ttl;
	__u8 ip_frag;
	__be16 tcp_flags_be;
	union {
		struct {
			__be16 src_be;
			__be16 dst_be;
		} transport;
		struct {
			__u8 type;
			__u8 code;
		} icmp;
	};
	union {
		struct {
			__be32 src_be;
			__be32 dst_be;
		} ipv4;
		struct {
			__u8 src[16];
			__u8 dst[16];
			__be32 flow_label_be;
			__be16 exthdr_be;
		} ipv6;
		struct {
			__u8 spa[4];
			__u8 tpa[4];
			__u8 sha[6];
			__u8 tha[6];
			__be16 op_be;
		} arp;
		__be32 mpls_be;
		__be32 pbb_isid_be;
		__u8 network[40];
	};
	__u8 nd_target[16];
	__u8 nd_lladdr[6];
	__be16 inner_vlan_be; /* of the second tag: PCP, OFPVID_PRESENT, VID */
};

/* What tables set beside the packet, in the byte order of the machine. All 0 when it comes to table 0. */
struct pipeline_fields {
	__u64 metadata;
	__u64 registers[REGISTER_WORDS]; /* tunnel_id; reg0 in the lower half and reg1 in the upper, and so on */
};

struct mask {
	struct flow_key bits;
	__u32 words; /* of 64 bits each: SHORT_KEY if it has no bits behind them, else KEY_WORDS; 0: not in use */
	__u32 padding;
};

enum op_kind {
	OP_OUTPUT = 1,	   /* arg16: port slot */
	OP_SET_QUEUE,	   /* arg32: skb priority, 0 for none */
	OP_PUSH_VLAN,	   /* arg16: ethertype; in rules arg8: only onto a packet without a tag */
	OP_POP_VLAN,
	OP_SET_VLAN,	   /* arg16: bits of the TCI, arg32: which */
	OP_SET_ETH_DST,	   /* the last six bytes */
	OP_SET_ETH_SRC,
	OP_SET_IPV4_SRC,   /* arg32_be */
	OP_SET_IPV4_DST,
	OP_SET_IP_TOS,	   /* arg8: bits, arg16: which */
	OP_SET_IP_TTL,	   /* arg8 */
	OP_DEC_IP_TTL,
	OP_SET_PORT_SRC,   /* arg8: TCP or UDP, arg16_be */
	OP_SET_PORT_DST,
	OP_SEND_UP,	   /* the switch does it; the only op then, but for a meter before it */
	OP_OUTPUT_UNICAST, /* arg16: port slot, behind which the one destination is; the only output then */
	OP_METER,	   /* arg32: its number */
	OP_SET_IPV6_WORD,  /* arg8: which of source and destination, arg32_be */
	OP_SET_IPV6_LABEL, /* arg32_be */
	OP_SET_ARP,	   /* arg8: where in the message; as many of the last six bytes as the field there has */
	OP_SET_ETH_WORD,   /* arg8: which 16 bits of destination and source, arg16: bits, arg32: which of them */
	/* Only in rules, of which they make ops for a packet. */
	OP_WRITE,	   /* arg8: a place of the action set, where the op behind this one goes; of kind 0: it is empty then */
	OP_CLEAR,	   /* the action set */
	OP_BRANCH,	   /* the ops that follow are for a copy of the packet, */
	OP_JOIN,	   /* up to here */
	OP_SEND_BACK,	   /* to the port that it came from, if that sends */
	OP_NORMAL,	   /* sends it as a learning switch does; at most one of a packet */
	OP_GROUP,	   /* arg32: its number; what one of its buckets says. In a bucket it is the last op */
	OP_LOAD_FIELD,	   /* arg8: a word of 32 bits of the pipeline's fields, arg32: what it becomes, */
	OP_CLEAR_BITS,	   /* or which bits of it become 0, */
	OP_SET_BITS,	   /* or 1 */
	OP_MOVE,	   /* arg8: how many bits, arg16: from which place, arg32: to which, not of the key */
	OP_VALUE,	   /* arg8: a word of scratch: the value for the op behind this one, an edit */
};

struct op {
	__u8 kind;
	__u8 arg8;
	__u16 arg16;
	__u32 arg32;
};

/* A cached decision. It is one of the present only if its epoch is. */
struct flow_entry {
	__u32 epoch;
	__u32 slot; /* of its flow_stats */
	__u32 op_count;
	__u32 padding;
	struct flow_key key; /* masked */
	struct op ops[MAX_OPS];
};

/* What a flow says; ``entry`` is its match, and its ops if it has some. Its epoch is of no use. */
struct rule {
	__u64 rank; /* above 0; of a table's rules that match the one with the highest decides */
	__u32 decision;
	__u32 next_table;     /* 0: none */
	struct pipeline_fields fields; /* the rest of its match */
	__u64 metadata_bits;  /* what it sets, */
	__u64 metadata_mask;  /* and which bits */
	struct flow_entry entry;
};

enum rule_decision {
	RULE_UP,     /* the switch decides */
	RULE_OPS,    /* the entry's ops, unless they output to the port that the packet came from */
	RULE_NORMAL, /* as a learning switch */
	RULE_VISIT,  /* the entry's ops are done to the packet as it is then, and the next table is asked, if there is one */
};

/* What a bucket of a group does; ``slot`` is of its counters, and the map's key. */
struct bucket {
	__u32 slot;
	__u32 op_count;
	struct op ops[MAX_OPS];
};

/* A bucket's share of the packets, and what tells it from others. */
struct share {
	__u32 weight; /* above 0, at most 65535 */
	__u32 identity;
	__u32 slot; /* of the bucket */
};

/* A group's buckets, of which each flow of packets takes one (inband/pipeline/group_choice.py). */
struct group {
	__u32 count; /* above 0 */
	struct share shares[MAX_SHARES];
};

/* One of the masks of a table's rules, which are in the order of ``best_rank``. */
struct rule_mask {
	struct mask mask;
	__u64 best_rank; /* of its rules */
	__u32 field_words; /* that they look at: none, 1 for metadata only, or FIELD_WORDS */
	__u32 padding;
	struct pipeline_fields fields; /* which bits */
};

/* Where the masks of a table's rules are. */
struct range {
	__u16 first;
	__u16 count;
};

/* The rules as a whole. */
struct tables {
	__u32 generation; /* 0: they are not what the switch decides by. Each time that they are again, another number */
	__u32 local_slot; /* of LOCAL; 0: its address is not known */
	__u8 local_mac[6];
	__u8 has_left_out; /* stations, for want of room: what is sent to one that is not here goes up */
	__u8 padding;
	struct range masks[MAX_TABLES];
	/* What packets without a rule count to, as a rule's slot: they are dropped. 0: they go up. */
	__u32 misses[MAX_TABLES];
};

/* A packet on its way through the tables: what is said of it so far. Nothing is done before all is said. */
struct walk {
	struct flow_key key; /* as actions have made it */
	struct pipeline_fields fields; /* as tables have: behind the key, */
	__u32 scratch[SCRATCH_WORDS];  /* and this behind them, for bits are moved between the words of all three */
	__u32 visited;	  /* rules so far, tables that have none, and buckets */
	__u32 known_tags; /* of the tags in ``key`` how many are what the packet has then; it may have more */
	__u32 length;	  /* of the ops, up to the last that sends or meters */
	__u32 write_to;	  /* the place of the action set, plus 1, for the next op */
	__u32 has_set;	  /* whether something was written */
	__u32 is_busy;	  /* with another frame, in the middle of which this one came */
	__u32 is_alone;	  /* the switch is silent */
	__u32 generation; /* of the rules that it began with */
	__u32 first;	  /* where the mask is of its rule in table 0 */
	__u32 is_branch;  /* its ops are for a copy now, */
	__u32 has_edits;  /* which was changed, */
	__u32 is_spoiled; /* and that cannot be undone: nothing may be sent any more */
	__u32 saved_tags;
	__u32 is_normal;  /* NORMAL sends it, */
	__u32 sends;	  /* and some other op does, */
	__u32 has_source; /* and some has written its source */
	__u32 has_group;  /* the next thing to do is what a group says, */
	__u32 group;	  /* this one */
	__u32 value_from; /* a word of scratch, plus 1, for the next op */
	struct flow_key saved; /* as the packet was before the copy was changed, */
	struct pipeline_fields saved_fields;
	struct flow_key seen_by_normal; /* and when NORMAL sends it */
	__u32 slots[MAX_VISITS]; /* of their counters */
	struct op set[MAX_WRITTEN];
	struct flow_entry entry; /* the ops */
};

/* A port by its slot, as far as the rules go. */
struct inlet {
	__u32 flags;
	__u32 padding;
	struct flow_entry flood; /* outputs to every port that a flood from this one leaves by */
};

enum inlet_flag {
	INLET_TAKES = 1,  /* packets from here may be decided by rules */
	INLET_SENDS = 2,  /* NORMAL may send packets out of it */
	INLET_FLOODS = 4, /* ``flood`` has all ports */
};

struct station_key {
	__u8 mac[6];
	__be16 vlan_be; /* VID, 0 for none */
};

/* Where an address was heard last. */
struct station {
	__u32 slot;
	__u32 is_pinned; /* it was proven to be there: no packet moves it */
	__u64 used_ns; /* CLOCK_MONOTONIC */
	__u64 tick;
};

/* Of a ring: how far it was read when that was looked at, and since when it has been so. */
struct attention {
	__u64 position;
	__u64 since_ns; /* CLOCK_MONOTONIC; 0: nothing waited */
};

struct flow_stats {
	__u64 packets; /* as on a wire: segments, not frames */
	__u64 bytes;
	__u64 used_ns; /* CLOCK_MONOTONIC */
	__u64 tick;    /* when that was, by a clock that costs nothing to read */
};

/* The twin of ``BandEntry``; its tokens are small enough that it gets ``rate`` of them each nanosecond. */
struct meter_band {
	__s64 tokens;
	__s64 depth;
	__u32 rate;
	__u32 levels;	/* by which it makes the drop precedence worse; 0: it drops */
	__u32 count_at; /* the place of its meter_count */
	__u32 padding;
};

struct meter {
	__u32 tick; /* in which it was filled last, by a clock that costs nothing to read */
	__u32 count_at;
	__u32 packet_size; /* in tokens; 0 if bytes count */
	__u32 byte_size;   /* in tokens; 0 if packets count */
	__u32 band_count;
	__u32 padding;
	__u64 filled_ns; /* CLOCK_MONOTONIC */
	struct meter_band bands[MAX_BANDS];
};

struct meter_count {
	__u64 packets;
	__u64 bytes;
};

/* A packet that the switch itself holds against a meter: the frame that the program ``meter`` gets. */
struct meter_question {
	__u32 meter_id;
	__u32 packets;
	__u32 bytes;
	__u32 padding;
};

struct config {
	__u32 epoch;	     /* never 0 */
	__u32 adopted_epoch; /* entries of the process before are good too; 0: none are */
	__u32 mask_count;
	__u32 control_per_s; /* of other control frames that no entry matches, of each port; 0: CONTROL_PER_S */
	__u32 secret[2 * (KEY_WORDS + FIELD_WORDS)]; /* of the hash by which entries and rules are found */
};

struct port_in {
	__u32 ifindex; /* 0: not there */
	__be32 number_be;
	__u32 slot;
};

struct port_out {
	__u32 ifindex; /* 0: not there */
	__u32 number;
	__u16 peer_allowed; /* whether bpf_redirect_peer() may be used, as far as the interface goes */
	__u8 peer_mac[6];   /* the address of the pair's other end; a group's: it is not known */
};

struct port_stats {
	__u64 rx_packets;
	__u64 rx_bytes;
	__u64 tx_packets;
	__u64 tx_bytes;
	__u64 rx_dropped;
	__u64 tx_dropped;
};

/* What became of a frame. Every frame that goes nowhere is counted by one of these. */
enum verdict {
	VERDICT_MEGAFLOW_HIT,
	VERDICT_MISS,
	VERDICT_DROPPED_BY_FLOW,
	VERDICT_SLOW_ACTION,	     /* a hit whose actions the switch carries out */
	VERDICT_NOT_UNDERSTOOD,	     /* more headers than this program follows: went up */
	VERDICT_INPUT_NO_PORT,
	VERDICT_OUTPUT_NO_PORT,
	VERDICT_TX_TOO_BIG,
	VERDICT_TX_REFUSED,
	VERDICT_EDIT_REFUSED,	     /* the kernel would not change the frame: dropped */
	VERDICT_UPCALL_TOO_BIG,
	VERDICT_UPCALL_UNREADABLE,
	VERDICT_UPCALL_FULL_CONTROL, /* no room in the ring */
	VERDICT_UPCALL_FULL_DATA,
	VERDICT_DISCOVERY_FLOOD, /* more ARP and neighbour discovery from a port than goes up */
	VERDICT_LINK_LOCAL_FLOOD, /* more frames that stay on a link than go up */
	VERDICT_DROPPED_BY_METER,
	VERDICT_CONTROL_FLOOD, /* more of other control frames than go up */
	VERDICT_DECIDED_BY_RULE,   /* or by rules of several tables */
	VERDICT_DECIDED_NORMAL,
	VERDICT_DECIDED_NORMAL_DROPPED, /* the destination is on the port that it came from, or bridges keep it there */
	VERDICT_DECIDED_ALONE,	   /* as one of these, for the switch is silent: control too, and hosts that moved */
	VERDICT_NOT_TOLD,	   /* decided, and the switch has not heard of it */
	VERDICT_NOT_LEARNED,	   /* a source that was not learned: as many of the port were a moment ago */
	VERDICT_UP_NO_TABLES,	   /* misses that went up, and why: the rules are not those of the switch */
	VERDICT_UP_SPECIAL,	   /* control, fragments, ports with settings */
	VERDICT_UP_NO_RULE,
	VERDICT_UP_BY_RULE,
	VERDICT_UP_MOVED, /* its source was heard on another port */
	VERDICT_UP_NORMAL, /* more ports than a flood here reaches, or one that takes no data */
	VERDICT_COUNT,
};

enum upcall_reason {
	UPCALL_MISS,
	UPCALL_SLOW_ACTION,
	UPCALL_METERED_ACTION, /* the first of the actions, a meter, is done */
	UPCALL_DECIDED,	       /* it has left by the rules; only its headers came, the rest of frame_len is 0 */
};

/* What comes up, in front of the frame as it came. Bytes count in the frame without a tag that is beside it. */
struct upcall {
	__u32 frame_len;
	__u32 in_port;
	__u16 vlan_tci;
	__be16 vlan_proto_be; /* 0: no tag is beside the frame */
	__u16 checksum_at; /* of the checksum that was left to the card; 0: none was */
	__u16 gso_size;	   /* 0: not to be cut */
	__u8 reason;
	__u8 padding[3];
	struct flow_key key;
};

/* The compiler writes down only types that are in use. This puts the rest into the object, for the test to read. */
struct all_of_layout {
	enum layout layout;
	enum op_kind op_kind;
	enum verdict verdict;
	enum rule_decision rule_decision;
	enum inlet_flag inlet_flag;
	enum upcall_reason upcall_reason;
	struct upcall upcall;
	struct meter_question meter_question;
};
const struct all_of_layout *all_of_layout __attribute__((unused));

#endif
