/* SPDX-License-Identifier: GPL-2.0-only */
/* Everything that crosses the border between kernel and user space, and nothing
 * else: keys and values of maps, enums, the load-time configuration. Python's
 * copy is generated from the BTF of these types. Knows no helper and no packet.
 */
#pragma once

#include <linux/types.h>

/* IPv4 as ::ffff:a.b.c.d, so that nothing behind parse.h asks for the family. */
struct addr {
	__be32 word[4];
};

/* A flow as the packet in hand shows it: for a client's packet from the client
 * to the VIP, for a reply under NAT from the real server to the client.
 */
struct flow {
	struct addr source;
	struct addr destination;
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol;
	__u8 pad[3];
} __attribute__((aligned(8))); /* compared in words of 64 bits */

enum method {
	METHOD_NAT,
	METHOD_DR,
	METHOD_TUN,
	METHOD_LOCAL,
};

enum scheduler {
	SCHEDULER_RR,
	SCHEDULER_WRR,
	SCHEDULER_LC,
	SCHEDULER_WLC,
	SCHEDULER_SH,
	SCHEDULER_MH,
};

/* LVS's TCP states in LVS's order (net/netfilter/ipvs), then UDP's only one. */
enum connection_state {
	STATE_NONE,
	STATE_ESTABLISHED,
	STATE_SYN_SENT,
	STATE_SYN_RECV,
	STATE_FIN_WAIT,
	STATE_TIME_WAIT,
	STATE_CLOSE,
	STATE_CLOSE_WAIT,
	STATE_LAST_ACK,
	STATE_LISTEN,
	STATE_SYNACK,
	STATE_UDP,
	STATE_COUNT,
};

/* What becomes of known connections of a server that is no longer there. */
enum server_status {
	SERVER_FREE, /* this id names no server */
	SERVER_PRESENT,
	SERVER_REMOVED_RESET,
	SERVER_REMOVED_RESCHEDULE,
	SERVER_REMOVED_KEEP,
};

/* The TCP flag that decides, in LVS's order of priority. */
enum segment {
	SEGMENT_SYN,
	SEGMENT_FIN,
	SEGMENT_ACK,
	SEGMENT_RST,
	SEGMENT_COUNT,
};

/* Every packet ends in exactly one of these. The prefix tells the action:
 * FORWARD left by XDP; ROUTE rewritten, then left to the kernel to route; PASS
 * untouched to the kernel; REPLY answered by the director itself; DROP gone.
 */
enum outcome {
	CONTINUE, /* not an end: the next stage goes on */
	FORWARD_DR,
	FORWARD_NAT,
	FORWARD_NAT_REPLY,
	FORWARD_TUN,
	FORWARD_ICMP_ERROR,
	ROUTE_NAT,
	ROUTE_NAT_REPLY,
	ROUTE_TUN,
	ROUTE_ICMP_ERROR,
	PASS_LOCAL_SERVER,
	PASS_NOT_OURS,
	PASS_NOT_IP,
	PASS_OTHER_MAC,
	PASS_VLAN,
	PASS_NO_SERVICE,
	PASS_ICMP,
	PASS_PROTOCOL,
	PASS_EXTENSION_HEADER,
	PASS_EARLY_FRAGMENT,
	PASS_OPTIONS,
	PASS_TOO_BIG,
	PASS_TTL,
	REPLY_RESET_NO_SERVER,
	REPLY_RESET_SERVER_REMOVED,
	REPLY_RESET_NO_CONNECTION,
	REPLY_UNREACHABLE_NO_SERVER,
	REPLY_UNREACHABLE_SERVER_REMOVED,
	REPLY_UNREACHABLE_NO_CONNECTION,
	REPLY_TOO_BIG,
	REPLY_TIME_EXCEEDED,
	DROP_MALFORMED,
	DROP_TCP_FLAGS,
	DROP_MARTIAN,
	DROP_NO_SERVER,
	DROP_COLLISION,
	DROP_UNKNOWN_REPLY,
	DROP_NO_ROUTE,
	DROP_NEIGHBOUR_UNRESOLVED,
	DROP_NO_ETHERNET,
	DROP_TTL,
	DROP_TOO_BIG,
	DROP_NO_ROOM_IN_FRAME,
	OUTCOME_COUNT,
};

/* Things that happen on a packet's way; none of them is its end. */
enum event {
	EVENT_CONNECTION_NEW,
	EVENT_CONNECTION_REUSED, /* a SYN on a closing connection */
	EVENT_CONNECTION_EXPIRED,
	EVENT_TABLE_FULL, /* a new connection found no room */
	EVENT_STATELESS,  /* forwarded by consistent hash alone */
	EVENT_NEXT_HOP_REFRESHED,
	EVENT_MSS_CLAMPED,
	EVENT_COUNT,
};

enum limits {
	BUCKET_SLOTS = 16,    /* connections in a bucket */
	REAL_SERVERS = 65536, /* ids; 0 names none */
	SERVICES = 16384,     /* ids; 0 names none */
	INTERFACES = 65536,   /* by the low 16 bits of the ifindex */
	RETURN_HOPS = 4096,
	FRAGMENTS = 65536,
	INTEREST_WORDS = 1024, /* 65,536 bits */
	TICK_SHIFT = 26,       /* a tick is 2^26 ns, about 67 ms */
};

/* `life` of a connection, from the low bits: expires (32, in ticks of
 * CLOCK_MONOTONIC), generation (16), state (8), flags (8). 0: nobody lives here.
 */
enum life_shift {
	LIFE_GENERATION_SHIFT = 32,
	LIFE_STATE_SHIFT = 48,
	LIFE_FLAGS_SHIFT = 56,
};

enum connection_flag {
	CONNECTION_USED = 1,	/* set in every live entry */
	CONNECTION_REPLY = 2,	/* the second entry of a NAT connection */
	CONNECTION_TWO_WAY = 4, /* replies pass the director: a reply was seen */
	CONNECTION_ACTIVE = 8,	/* counted as active, else as inactive */
};

/* One cache line. The two entries of a NAT connection name each other. */
struct connection {
	struct flow flow;
	__u64 life;
	__u32 real_server;
	__u32 service;
	__u32 twin;	     /* slot of the other entry plus 1; 0: none */
	__be16 service_port; /* reply entry: the port that the client knows */
	__u16 return_hop;    /* reply entry: index in return_hops; 0: none */
};

/* Byte s of `tags` is taken from the hash of the flow in slot s, 0: free. All 16
 * are compared in two words. Slot s of bucket b is the table's b * BUCKET_SLOTS + s.
 */
struct bucket {
	__u64 tags[BUCKET_SLOTS / 8];
	__u64 pad[6]; /* slots begin at a cache line */
	struct connection slot[BUCKET_SLOTS];
};

struct service_key {
	struct addr vip;
	__be16 port;
	__u8 protocol;
	__u8 pad;
};

/* Longest prefix match: `prefixlen` counts bits from `vip` on. A range of ports
 * is several prefixes of `port`; all ports is one that ends before it (144).
 */
struct service_range {
	__u32 prefixlen;
	struct addr vip;
	__u8 protocol;
	__u8 pad;
	__be16 port;
};

enum service_flag {
	SERVICE_CLAMP_MSS = 1, /* SYNs to servers behind a tunnel */
	SERVICE_MH_PORT = 2,   /* sh, mh: hash the client's port too */
};

/* `slots` .. is a region of the slots map. For lc and wlc it lists each server
 * once; for the others it is indexed. `fallback` is a Maglev region, used when
 * no connection can be or was remembered; mh's own region is the same.
 */
struct service {
	struct addr vip;
	__be16 first_port;
	__be16 last_port;
	__u8 protocol;
	__u8 scheduler;
	__u8 flags;
	__u8 pad;
	__u32 slots;
	__u32 slot_count; /* 0: no server takes new connections */
	__u32 fallback;
	__u32 fallback_count;
};

/* Written by the control plane alone. */
struct real_server {
	struct addr address;
	struct addr tunnel_source; /* of the address's family */
	__u32 service;
	__u32 weight;
	__be16 port; /* 0: as the packet has it */
	__u8 method;
	__u8 status;
	__u8 tunnel_source_bits; /* low bits of tunnel_source spread by flow, 0..32 */
	__u8 pad[3];
};

/* Written by the data plane alone, atomically. */
struct load {
	__u64 active;
	__u64 inactive;
};

struct traffic {
	__u64 connections;
	__u64 packets_in;  /* towards the real server */
	__u64 bytes_in;	   /* of IP */
	__u64 packets_out; /* back through the director: NAT */
	__u64 bytes_out;
};

enum next_hop_kind {
	NEXT_HOP_UNKNOWN,
	NEXT_HOP_ETHERNET,   /* the MACs are right: XDP sends */
	NEXT_HOP_KERNEL,     /* reachable, but only the kernel can send there */
	NEXT_HOP_UNRESOLVED, /* no neighbour entry yet */
	NEXT_HOP_NO_ROUTE,
	NEXT_HOP_BACK, /* XDP sends, but only out of the interface that the packet came in by */
};

/* Written by the data plane alone. */
struct next_hop {
	__u64 resolved_at; /* ns of CLOCK_MONOTONIC */
	__u32 ifindex;
	__u16 mtu;
	__u8 kind;
	__u8 gateway; /* a router's, not the address's own */
	__u8 destination[6];
	__u8 source[6];
	__u8 pad[4];
};

enum interface_flag {
	INTERFACE_ATTACHED = 1, /* the director looks at what comes in */
	INTERFACE_REDIRECT = 2, /* XDP can send out of it */
};

struct interface {
	__u32 ifindex;
	__u8 mac[6];
	__u8 flags;
	__u8 pad;
};

struct fragment_key {
	struct addr source;
	struct addr destination;
	__be32 id;
	__u8 protocol;
	__u8 pad[3];
};

/* The ports that only the first fragment carries. */
struct fragment {
	__u64 seen_at; /* ns */
	__be16 source_port;
	__be16 destination_port;
	__u8 pad[4];
};

/* A bit for each address that some packet of ours must come from or go to: VIPs
 * and the real servers of NAT. Bit n of an address: fold its four words by XOR,
 * then the halves of that: n is 16 bits. False positives cost time only.
 */
struct interest {
	__u64 bits[INTEREST_WORDS];
};

/* Set between open and load, then constant. */
struct config {
	__u64 hash_key[2];    /* of SipHash */
	__u64 flow_key[11];   /* of the connection table's multilinear hash */
	__u32 buckets;	      /* entries of the connections map */
	__u32 sweep_buckets;  /* looked at in one beat of the sweeper */
	__u64 sweep_interval; /* ns between two beats */
	__u64 next_hop_age;   /* ns after which a next hop is asked for again */
};
