/* SPDX-License-Identifier: GPL-2.0-only */
/* Frame to flow. The only stage that reads headers it did not write; what is not
 * ours leaves here, before anything is asked of it.
 */
#pragma once

#include "addr.h"
#include "maps.h"
#include "options.h"
#include "packet.h"

#define IP_MORE_FRAGMENTS 0x2000
#define IP_FRAGMENT_OFFSET 0x1fff
#define IP_DONT_FRAGMENT 0x4000

#define EXTENSION_HEADERS 8
/* A header before TCP or UDP never begins later: verifier bound, see parse_ip6. */
#define L4_OFFSET_MAX 2047

struct cursor {
	void *pos;
	void *end;
};

/* The next `size` bytes, or NULL where the frame ends before them. */
static __always_inline void *pull(struct cursor *cur, __u32 size)
{
	void *here = cur->pos;

	if (here + size > cur->end)
		return NULL;
	cur->pos = here + size;
	return here;
}

/* Our own machine's address on this wire; a switch floods, a port may be promiscuous. */
static __always_inline int frame_is_for_us(const struct packet *pkt)
{
	__u32 key = pkt->ingress & (INTERFACES - 1);
	const struct interface *itf = bpf_map_lookup_elem(&interfaces, &key);

	return itf && mac_equal(itf->mac, pkt->eth->h_dest) && itf->ifindex == pkt->ingress;
}

/* Whether the frame really holds the bytes that its IP header speaks of. */
static __always_inline int l3_is_whole(struct xdp_md *ctx, const struct packet *pkt)
{
	void *l3 = (void *)(pkt->eth + 1);

	if (l3 + pkt->l3_length <= pkt->end)
		return 1;
	return bpf_xdp_get_buff_len(ctx) >= sizeof(struct ethhdr) + pkt->l3_length;
}

/* For those that leave before their addresses are read. */
static __always_inline enum outcome without_flow(struct packet *pkt, enum outcome why)
{
	__builtin_memset(&pkt->flow, 0, sizeof(pkt->flow));
	return why;
}

/* RFC 791 3.1; what follows the bytes of `tot_len` is Ethernet's padding. */
static __always_inline enum outcome parse_ip4(struct xdp_md *ctx, struct packet *pkt,
					      const struct interest *bits)
{
	struct iphdr *ip = (void *)(pkt->eth + 1);
	__u16 fragment;
	__u8 ihl, ours;

	if ((void *)(ip + 1) > pkt->end)
		return without_flow(pkt, PASS_NOT_OURS);
	pkt->ip4 = ip;
	addr_from_v4(&pkt->flow.source, ip->saddr);
	addr_from_v4(&pkt->flow.destination, ip->daddr);
	pkt->flow.protocol = ip->protocol;
	pkt->vip_bit = addr_is_interesting(bits, &pkt->flow.destination);
	ours = pkt->vip_bit || addr_is_interesting(bits, &pkt->flow.source);
	if (!ours && ip->protocol != IPPROTO_ICMP)
		return PASS_NOT_OURS;

	ihl = *(__u8 *)ip & 0xf;
	pkt->l4_offset = ihl * 4;
	pkt->l3_length = bpf_ntohs(ip->tot_len);
	if (ihl < 5 || *(__u8 *)ip >> 4 != 4 || pkt->l3_length < pkt->l4_offset ||
	    !l3_is_whole(ctx, pkt))
		return ours ? DROP_MALFORMED : PASS_NOT_OURS;
	if (ihl > 5 && options_are_the_kernels(ctx, sizeof(struct ethhdr) + sizeof(*ip),
					       sizeof(struct ethhdr) + pkt->l4_offset))
		return ours ? PASS_OPTIONS : PASS_NOT_OURS;
	fragment = bpf_ntohs(ip->frag_off);
	if (fragment & (IP_MORE_FRAGMENTS | IP_FRAGMENT_OFFSET)) {
		pkt->fragment = fragment & IP_FRAGMENT_OFFSET ? FRAGMENT_LATER : FRAGMENT_FIRST;
		pkt->fragment_id = ip->id;
		/* RFC 1858 3.2.2: an offset of one overwrites TCP's flags. */
		if (ip->protocol == IPPROTO_TCP && (fragment & IP_FRAGMENT_OFFSET) == 1)
			return DROP_MALFORMED;
	}
	return CONTINUE;
}

/* RFC 8200 4: walk to the transport header, the last of EXTENSION_HEADERS at the latest. */
static __always_inline enum outcome walk_extension_headers(struct packet *pkt)
{
	struct cursor cur = { .pos = pkt->ip6 + 1, .end = pkt->end };
	__u8 next = pkt->ip6->nexthdr;
	__u32 offset = sizeof(struct ipv6hdr);
	int i;

	for (i = 0; i < EXTENSION_HEADERS; i++) {
		__u8 *header;
		__u32 length;

		if (next == IPPROTO_TCP || next == IPPROTO_UDP || next == IPPROTO_ICMPV6)
			break;
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS &&
		    next != IPPROTO_FRAGMENT)
			return PASS_PROTOCOL;
		header = pull(&cur, 8);
		if (!header)
			return DROP_MALFORMED;
		length = next == IPPROTO_FRAGMENT ? 8 : (header[1] + 1) * 8;
		offset += length;
		if (!pull(&cur, length - 8) || offset > pkt->l3_length)
			return DROP_MALFORMED;
		if (next == IPPROTO_FRAGMENT) {
			__u16 fragment = header[2] << 8 | header[3];

			/* RFC 6946: offset 0 and no more to come is a whole packet. */
			if (fragment & 0xfff9)
				pkt->fragment = fragment & 0xfff8 ? FRAGMENT_LATER : FRAGMENT_FIRST;
			pkt->fragment_id = *(__be32 *)(header + 4);
			/* As in IPv4: the offset of one unit overwrites TCP's flags. */
			if (header[0] == IPPROTO_TCP && (fragment & 0xfff8) == 8)
				return DROP_MALFORMED;
			/* What follows in the first fragment is not to be seen in the others. */
			if (pkt->fragment && header[0] != IPPROTO_TCP && header[0] != IPPROTO_UDP &&
			    header[0] != IPPROTO_ICMPV6)
				return PASS_EXTENSION_HEADER;
		}
		/* RFC 5095: type 0 routes are not followed, nor is any other. */
		if (next == IPPROTO_ROUTING && header[3])
			return PASS_EXTENSION_HEADER;
		next = header[0];
		if (pkt->fragment == FRAGMENT_LATER)
			break;
	}
	if (i == EXTENSION_HEADERS || offset > L4_OFFSET_MAX)
		return PASS_EXTENSION_HEADER;
	pkt->flow.protocol = next;
	pkt->l4_offset = offset;
	return CONTINUE;
}

static __always_inline enum outcome parse_ip6(struct xdp_md *ctx, struct packet *pkt,
					      const struct interest *bits)
{
	struct ipv6hdr *ip = (void *)(pkt->eth + 1);
	__u32 length;
	__u8 ours;

	if ((void *)(ip + 1) > pkt->end)
		return without_flow(pkt, PASS_NOT_OURS);
	pkt->ip6 = ip;
	__builtin_memcpy(&pkt->flow.source, &ip->saddr, sizeof(struct addr));
	__builtin_memcpy(&pkt->flow.destination, &ip->daddr, sizeof(struct addr));
	pkt->flow.protocol = ip->nexthdr;
	pkt->vip_bit = addr_is_interesting(bits, &pkt->flow.destination);
	ours = pkt->vip_bit || addr_is_interesting(bits, &pkt->flow.source);
	if (!ours && ip->nexthdr != IPPROTO_ICMPV6)
		return PASS_NOT_OURS;

	length = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	/* RFC 2675: a jumbogram's length is in an option. */
	if (!ip->payload_len && ip->nexthdr == IPPROTO_HOPOPTS)
		return PASS_EXTENSION_HEADER;
	pkt->l3_length = length;
	pkt->l4_offset = sizeof(*ip);
	if (*(__u8 *)ip >> 4 != 6 || length > 0xffff || !l3_is_whole(ctx, pkt))
		return ours ? DROP_MALFORMED : PASS_NOT_OURS;
	/* On the wire these are nobody's (RFC 4038 4.2); in our tables they are IPv4's. */
	if (addr_is_v4(&pkt->flow.source) || addr_is_v4(&pkt->flow.destination))
		return ours ? DROP_MARTIAN : PASS_NOT_OURS;
	if (ip->nexthdr == IPPROTO_TCP || ip->nexthdr == IPPROTO_UDP ||
	    ip->nexthdr == IPPROTO_ICMPV6)
		return CONTINUE;
	return walk_extension_headers(pkt);
}

/* Both begin with the ports; the protocol and its padding are the flow's next word. */
static __always_inline void flow_set_ports(struct packet *pkt, const void *l4)
{
	store_pair(&pkt->flow.source_port, *(const __be32 *)l4,
		   bpf_htonl((__u32)pkt->flow.protocol << 24));
}

/* RFC 9293 3.1. No stack sends two of SYN, FIN and RST, nor a segment without any of
 * the four, nor a FIN that acknowledges nothing.
 */
static __always_inline enum outcome parse_tcp(struct packet *pkt, struct cursor *cur)
{
	struct tcphdr *tcp = pull(cur, sizeof(*tcp));
	__u8 flags;

	if (!tcp || pkt->l4_offset + sizeof(*tcp) > pkt->l3_length)
		return DROP_MALFORMED;
	if (tcp->doff < 5 || pkt->l4_offset + tcp->doff * 4 > pkt->l3_length)
		return DROP_MALFORMED;
	flags = ((__u8 *)tcp)[13] & 0x17;
	pkt->segment = flags & 4 ? SEGMENT_RST :
		       flags & 2 ? SEGMENT_SYN :
		       flags & 1 ? SEGMENT_FIN :
				   SEGMENT_ACK;
	pkt->new_allowed = flags == 2;
	pkt->odd_flags =
		!flags || flags == 1 || (flags & 6) == 6 || (flags & 3) == 3 || (flags & 5) == 5;
	pkt->tcp = tcp;
	flow_set_ports(pkt, tcp);
	return CONTINUE;
}

/* RFC 768; a first fragment's length is the whole datagram's. */
static __always_inline enum outcome parse_udp(struct packet *pkt, struct cursor *cur)
{
	struct udphdr *udp = pull(cur, sizeof(*udp));
	__u16 length;

	if (!udp || pkt->l4_offset + sizeof(*udp) > pkt->l3_length)
		return DROP_MALFORMED;
	length = bpf_ntohs(udp->len);
	if (length < sizeof(*udp) || (!pkt->fragment && pkt->l4_offset + length > pkt->l3_length))
		return DROP_MALFORMED;
	pkt->udp = udp;
	pkt->segment = SEGMENT_ACK;
	pkt->new_allowed = 1;
	flow_set_ports(pkt, udp);
	return CONTINUE;
}

static __always_inline void fragment_key_of(const struct packet *pkt, struct fragment_key *key)
{
	key->source = pkt->flow.source;
	key->destination = pkt->flow.destination;
	key->id = pkt->fragment_id;
	key->protocol = pkt->flow.protocol;
	key->pad[0] = key->pad[1] = key->pad[2] = 0;
}

/* RFC 8200 4.5, RFC 791 3.2: 60 s and 15 s; ours is the kernel's ipfrag_time. */
#define FRAGMENT_LIFETIME 30000000000ULL

static __noinline enum outcome fragment_ports(struct packet *pkt)
{
	struct fragment_key key;
	struct fragment *known, first = {};

	fragment_key_of(pkt, &key);
	if (pkt->fragment == FRAGMENT_FIRST) {
		first.seen_at = pkt->now;
		first.source_port = pkt->flow.source_port;
		first.destination_port = pkt->flow.destination_port;
		bpf_map_update_elem(&fragments, &key, &first, BPF_ANY);
		return CONTINUE;
	}
	known = bpf_map_lookup_elem(&fragments, &key);
	if (!known || pkt->now - known->seen_at > FRAGMENT_LIFETIME)
		return PASS_EARLY_FRAGMENT;
	pkt->flow.source_port = known->source_port;
	pkt->flow.destination_port = known->destination_port;
	pkt->segment = SEGMENT_ACK;
	return CONTINUE;
}

static __always_inline enum outcome parse_l4(struct packet *pkt)
{
	__u32 offset = pkt->l4_offset & L4_OFFSET_MAX;
	struct cursor cur = { .end = pkt->end };
	enum outcome why;

	cur.pos = (void *)(pkt->eth + 1) + offset;
	if (pkt->flow.protocol == IPPROTO_TCP) {
		if (pkt->fragment != FRAGMENT_LATER) {
			why = parse_tcp(pkt, &cur);
			if (why)
				return why;
		}
	} else if (pkt->flow.protocol == IPPROTO_UDP) {
		if (pkt->fragment != FRAGMENT_LATER) {
			why = parse_udp(pkt, &cur);
			if (why)
				return why;
		}
	} else if (pkt->flow.protocol == (pkt->ip4 ? IPPROTO_ICMP : IPPROTO_ICMPV6)) {
		if (pkt->fragment)
			return pkt->vip_bit ? PASS_ICMP : PASS_NOT_OURS;
		pkt->icmp = pull(&cur, 8);
		return pkt->icmp ? CONTINUE : pkt->vip_bit ? PASS_ICMP : PASS_NOT_OURS;
	} else {
		return PASS_PROTOCOL;
	}
	return pkt->fragment ? fragment_ports(pkt) : CONTINUE;
}

/* The sweeper's last beat, milliseconds ago; reading the clock itself costs a call. */
static __always_inline __u64 time_now(void)
{
	__u32 zero = 0;
	const struct sweeper *beat = bpf_map_lookup_elem(&sweeper, &zero);

	return beat && beat->clock ? beat->clock : bpf_ktime_get_coarse_ns();
}

static __always_inline enum outcome parse(struct xdp_md *ctx, struct packet *pkt)
{
	const struct interest *bits;
	enum outcome why;
	__u32 zero = 0;

	packet_clear(pkt);
	pkt->action = XDP_TX;
	store_pair(&pkt->ingress, ctx->ingress_ifindex, 0);
	pkt->fragment_id = 0;
	store_pair(&pkt->flow.source_port, 0, 0);
	pkt->eth = (void *)(long)ctx->data;
	pkt->end = (void *)(long)ctx->data_end;
	if ((void *)(pkt->eth + 1) > pkt->end)
		return without_flow(pkt, PASS_NOT_IP);
	bits = bpf_map_lookup_elem(&interest, &zero);
	if (!bits)
		return without_flow(pkt, PASS_NOT_OURS);
	if (pkt->eth->h_proto == bpf_htons(ETH_P_IP))
		why = parse_ip4(ctx, pkt, bits);
	else if (pkt->eth->h_proto == bpf_htons(ETH_P_IPV6))
		why = parse_ip6(ctx, pkt, bits);
	else if (pkt->eth->h_proto == bpf_htons(ETH_P_8021Q) ||
		 pkt->eth->h_proto == bpf_htons(ETH_P_8021AD))
		return without_flow(pkt, PASS_VLAN);
	else
		return without_flow(pkt, PASS_NOT_IP);
	if (why == PASS_NOT_OURS)
		return why;
	if (!frame_is_for_us(pkt))
		return PASS_OTHER_MAC;
	if (why)
		return why;
	pkt->now = time_now();
	return parse_l4(pkt);
}
