/* SPDX-License-Identifier: GPL-2.0-only */
/* What the stages tell each other about the packet in hand. No logic. */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"

enum fragment_kind {
	FRAGMENT_NONE,
	FRAGMENT_FIRST, /* has the ports */
	FRAGMENT_LATER, /* has not: they come from the fragments map */
};

/* What a tracer may ask for; whole from parse on, whatever becomes of the packet. */
#define TOLD                                                                                       \
	struct flow flow;     /* parse */                                                          \
	__u32 ingress;	      /* parse: ifindex */                                                 \
	__u32 position;	      /* lookup, icmp: the connection's slot in the table */               \
	__u32 egress;	      /* forward: ifindex, where XDP sends it */                           \
	__u16 l3_length;      /* parse: of IP, from its own header */                              \
	__u16 met;	      /* any: a bit for each event on its way */                           \
	__u32 real_server_id; /* lookup, else schedule */                                          \
	__u32 service_id;     /* lookup, else schedule */                                          \
	__u8 segment;	      /* parse: TCP only */                                                \
	__u8 fragment;	      /* parse */                                                          \
	__u8 vip_bit;	      /* parse: the destination may be a VIP */                            \
	__u8 new_allowed;     /* parse: may make a connection; lookup adds to it */                \
	__u8 odd_flags;	      /* parse: TCP flags that no stack sends together */                  \
	__u8 reply;	      /* lookup, schedule: a real server's answer, under NAT */            \
	__u8 removed;	      /* lookup: its server is gone, the client is to know */              \
	__u8 touched;	      /* lookup: a reply whose connection was just written */              \
	__be16 service_port;  /* lookup, schedule: of a reply, the port the client knows */        \
	__u16 return_hop;     /* lookup: of a reply */                                             \
	__u8 known;	      /* lookup, icmp: `position` is its connection's */                   \
	__u8 bare;	      /* director_point_to_point: the frame has no Ethernet header */      \
	__u16 l4_offset;      /* parse: from the IP header */

struct told {
	TOLD
};

/* Filled from top to bottom, one block by each stage. The pointers die with the
 * first change of the frame's length, so only forward.h and reply.h may change it.
 */
struct packet {
	struct ethhdr *eth; /* parse */
	void *end;	    /* parse: of the frame's linear part */
	__u64 now;	    /* parse: ns, coarse */
	union {
		__be32 fragment_id; /* parse: of a fragment */
		__u32 hash;	    /* lookup */
	};
	__u32 action; /* forward, reply: XDP_TX or XDP_REDIRECT */
	union {
		struct {
			TOLD
		};
		struct told told;
	};

	/* From `egress` on, what no stage has set yet is 0: see packet_clear. */
	struct iphdr *ip4;	       /* parse: NULL for IPv6 */
	struct ipv6hdr *ip6;	       /* parse: NULL for IPv4 */
	struct tcphdr *tcp;	       /* parse: NULL for UDP and for later fragments */
	struct udphdr *udp;	       /* parse: NULL for TCP and for later fragments */
	void *icmp;		       /* parse: NULL but for ICMP and ICMPv6 */
	struct connection *connection; /* lookup: NULL if not known */
};

/* The rest is written before it is read, as the verifier sees to. */
static __always_inline void packet_clear(struct packet *pkt)
{
	__builtin_memset(&pkt->egress, 0, sizeof(*pkt) - __builtin_offsetof(struct packet, egress));
}
