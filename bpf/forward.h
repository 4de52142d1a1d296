/* SPDX-License-Identifier: GPL-2.0-only */
/* One function for each forwarding method, and one for the way back under NAT. Here
 * a frame changes its length for a tunnel, and gets its next hop.
 */
#pragma once

#include "event.h"
#include "nexthop.h"
#include "reply.h"
#include "rewrite.h"

#define TUNNEL_TTL 64

static __always_inline void count_in(const struct packet *pkt)
{
	__u32 id = pkt->real_server_id;
	struct traffic *t = bpf_map_lookup_elem(&traffic, &id);

	if (t) {
		t->packets_in++;
		t->bytes_in += pkt->l3_length;
	}
}

static __always_inline void count_out(const struct packet *pkt)
{
	__u32 id = pkt->real_server_id;
	struct traffic *t = bpf_map_lookup_elem(&traffic, &id);

	if (t) {
		t->packets_out++;
		t->bytes_out += pkt->l3_length;
	}
}

static __always_inline void leave_by(struct packet *pkt, const struct next_hop *hop)
{
	pkt->egress = hop->ifindex;
	pkt->action = hop->ifindex == pkt->ingress ? XDP_TX : bpf_redirect(hop->ifindex, 0);
}

static __always_inline int must_not_fragment(const struct packet *pkt)
{
	return !pkt->ip4 || pkt->ip4->frag_off & bpf_htons(IP_DONT_FRAGMENT);
}

static __always_inline enum outcome forward_dr(struct xdp_md *ctx, struct packet *pkt,
					       const struct next_hop *hop)
{
	enum next_hop_kind kind = hop_kind(pkt, hop);

	if (kind == NEXT_HOP_UNRESOLVED)
		return DROP_NEIGHBOUR_UNRESOLVED;
	if (kind == NEXT_HOP_KERNEL)
		return DROP_NO_ETHERNET;
	/* A router would send the packet back: its destination is the VIP. */
	if (kind != NEXT_HOP_ETHERNET || hop->gateway)
		return DROP_NO_ROUTE;
	if (pkt->l3_length > hop->mtu)
		return reply_too_big(ctx, pkt, hop->mtu);
	rewrite_macs(pkt->eth, hop);
	leave_by(pkt, hop);
	count_in(pkt);
	return FORWARD_DR;
}

static __always_inline enum outcome forward_nat(struct xdp_md *ctx, struct packet *pkt,
						const struct real_server *server,
						const struct next_hop *hop)
{
	int kernel = hop_kind(pkt, hop) != NEXT_HOP_ETHERNET;

	if (hop->kind == NEXT_HOP_NO_ROUTE)
		return DROP_NO_ROUTE;
	if (ttl_of(pkt) <= 1)
		return reply_time_exceeded(ctx, pkt);
	/* The kernel's own answer would quote the packet as it is behind NAT. */
	if (hop->mtu && pkt->l3_length > hop->mtu) {
		if (must_not_fragment(pkt))
			return reply_too_big(ctx, pkt, hop->mtu);
		kernel = 1;
	}
	rewrite_destination(pkt, &server->address, server->port ?: pkt->flow.destination_port);
	count_in(pkt);
	if (kernel)
		return ROUTE_NAT;
	ttl_decrement(pkt);
	rewrite_macs(pkt->eth, hop);
	leave_by(pkt, hop);
	return FORWARD_NAT;
}

/* Under NAT, from the real server to the client. */
static __always_inline enum outcome forward_reply(struct xdp_md *ctx, struct packet *pkt)
{
	__u32 id = pkt->service_id;
	const struct service *service = bpf_map_lookup_elem(&service_table, &id);
	struct next_hop hop = {};

	if (!service)
		return DROP_NO_ROUTE;
	next_hop_of_client(ctx, pkt, &hop);
	if (hop.kind == NEXT_HOP_NO_ROUTE)
		return DROP_NO_ROUTE;
	/* The kernel, which is the server's router, tells it so; of what is too big as well. */
	if (ttl_of(pkt) <= 1)
		return PASS_TTL;
	hop.kind = hop_kind(pkt, &hop);
	if (hop.mtu && pkt->l3_length > hop.mtu) {
		if (must_not_fragment(pkt))
			return PASS_TOO_BIG;
		hop.kind = NEXT_HOP_KERNEL;
	}
	rewrite_source(pkt, &service->vip, pkt->service_port);
	count_out(pkt);
	if (hop.kind != NEXT_HOP_ETHERNET)
		return ROUTE_NAT_REPLY;
	ttl_decrement(pkt);
	rewrite_macs(pkt->eth, &hop);
	leave_by(pkt, &hop);
	return FORWARD_NAT_REPLY;
}

/* What the outer header takes from the packet; read before the frame grows. */
struct inner {
	__u16 length;
	__be16 id;
	__u16 dont_fragment;
	__u8 protocol;
	__u8 traffic_class;
};

static __always_inline struct inner inner_of(const struct packet *pkt)
{
	struct inner inner = { .length = pkt->l3_length };

	if (pkt->ip4) {
		inner.protocol = IPPROTO_IPIP;
		inner.traffic_class = pkt->ip4->tos;
		inner.id = pkt->ip4->id;
		inner.dont_fragment = pkt->ip4->frag_off & bpf_htons(IP_DONT_FRAGMENT);
	} else if (pkt->ip6) {
		inner.protocol = IPPROTO_IPV6;
		inner.traffic_class = bpf_ntohl(*(__be32 *)pkt->ip6) >> 20;
		inner.dont_fragment = bpf_htons(IP_DONT_FRAGMENT);
	}
	return inner;
}

/* RFC 2003 3.1, RFC 4213 3.5; DSCP and ECN are copied: RFC 6040 4.1, normal mode. */
static __always_inline void outer_ip4(struct iphdr *ip, const struct inner *inner,
				      const struct real_server *server, __u32 hash)
{
	__u32 spread = (1ULL << (server->tunnel_source_bits & 63)) - 1, *word = (__u32 *)ip;
	__u32 length = inner->length + sizeof(*ip);
	__u32 first = bpf_htonl(0x45U << 24 | (__u32)inner->traffic_class << 16 | length);
	__u32 second =
		bpf_htonl((__u32)bpf_ntohs(inner->id) << 16 | bpf_ntohs(inner->dont_fragment));
	__u32 third = bpf_htonl(TUNNEL_TTL << 24 | (__u32)inner->protocol << 16);
	__be32 source = server->tunnel_source.word[3] | bpf_htonl(hash & spread);
	__be32 destination = server->address.word[3];
	__u16 check = ~csum_fold((__u64)first + second + third + source + destination);

	word[0] = first;
	word[1] = second;
	word[2] = third | bpf_htonl(bpf_ntohs(check));
	word[3] = source;
	word[4] = destination;
}

/* RFC 2473 6; the flow label spreads as RFC 6438 asks. */
static __always_inline void outer_ip6(struct ipv6hdr *ip, const struct inner *inner,
				      const struct real_server *server, __u32 hash)
{
	__u32 spread = (1ULL << (server->tunnel_source_bits & 63)) - 1;

	*(__be32 *)ip = bpf_htonl(6U << 28 | (__u32)inner->traffic_class << 20 | hash >> 12);
	ip->payload_len = bpf_htons(inner->length);
	ip->nexthdr = inner->protocol;
	ip->hop_limit = TUNNEL_TTL;
	__builtin_memcpy(&ip->saddr, &server->tunnel_source, sizeof(struct addr));
	((__be32 *)&ip->saddr)[3] = server->tunnel_source.word[3] | bpf_htonl(hash & spread);
	__builtin_memcpy(&ip->daddr, &server->address, sizeof(struct addr));
}

static __always_inline enum outcome encapsulate(struct xdp_md *ctx, struct packet *pkt,
						const struct real_server *server,
						const struct next_hop *hop)
{
	struct inner inner = inner_of(pkt);
	int v4 = addr_is_v4(&server->address);
	int kernel = hop_kind(pkt, hop) != NEXT_HOP_ETHERNET;
	struct ethhdr old = {}, *eth;
	void *outer;

	if (kernel)
		old = *pkt->eth;
	if (bpf_xdp_adjust_head(ctx,
				v4 ? -(int)sizeof(struct iphdr) : -(int)sizeof(struct ipv6hdr)))
		return DROP_NO_ROOM_IN_FRAME;
	eth = (void *)(long)ctx->data;
	outer = eth + 1;
	if (outer + sizeof(struct ipv6hdr) > (void *)(long)ctx->data_end)
		return DROP_NO_ROOM_IN_FRAME;
	if (v4)
		outer_ip4(outer, &inner, server, pkt->hash);
	else
		outer_ip6(outer, &inner, server, pkt->hash);
	if (kernel)
		*eth = old;
	else
		rewrite_macs(eth, hop);
	eth->h_proto = v4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	if (kernel)
		return ROUTE_TUN;
	leave_by(pkt, hop);
	return FORWARD_TUN;
}

static __always_inline enum outcome forward_tun(struct xdp_md *ctx, struct packet *pkt,
						const struct real_server *server,
						const struct next_hop *hop)
{
	__u32 id = pkt->service_id, overhead, mtu = hop->mtu ?: ETH_DATA_LEN;
	const struct service *service;

	if (hop->kind == NEXT_HOP_NO_ROUTE)
		return DROP_NO_ROUTE;
	if (ttl_of(pkt) <= 1)
		return reply_time_exceeded(ctx, pkt);
	overhead = addr_is_v4(&server->address) ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	if (pkt->l3_length + overhead > mtu)
		return reply_too_big(ctx, pkt, mtu - overhead);
	if (pkt->tcp && pkt->segment == SEGMENT_SYN) {
		service = bpf_map_lookup_elem(&service_table, &id);
		overhead += sizeof(struct tcphdr) +
			    (pkt->ip4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr));
		if (service && service->flags & SERVICE_CLAMP_MSS && mtu > overhead &&
		    clamp_mss(ctx, sizeof(struct ethhdr) + pkt->l4_offset, mtu - overhead))
			meet(pkt, EVENT_MSS_CLAMPED);
	}
	ttl_decrement(pkt);
	count_in(pkt);
	return encapsulate(ctx, pkt, server, hop);
}

static __always_inline enum outcome forward(struct xdp_md *ctx, struct packet *pkt)
{
	const struct real_server *server;
	const struct next_hop *hop;
	__u32 id = pkt->real_server_id;

	if (pkt->reply)
		return forward_reply(ctx, pkt);
	server = bpf_map_lookup_elem(&real_servers, &id);
	if (!server)
		return DROP_NO_SERVER;
	if (server->method == METHOD_LOCAL) {
		count_in(pkt);
		return PASS_LOCAL_SERVER;
	}
	hop = next_hop_of_server(ctx, pkt, server);
	if (!hop)
		return DROP_NO_ROUTE;
	if (server->method == METHOD_DR)
		return forward_dr(ctx, pkt, hop);
	if (server->method == METHOD_NAT)
		return forward_nat(ctx, pkt, server, hop);
	return forward_tun(ctx, pkt, server, hop);
}
