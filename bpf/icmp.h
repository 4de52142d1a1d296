/* SPDX-License-Identifier: GPL-2.0-only */
/* ICMP errors about a connection: find it by the packet they quote, rewrite both.
 * The quoted transport checksum stays as it is, as in LVS: a quote may end before it.
 */
#pragma once

#include "forward.h"
#include "lookup.h"

/* The quote, as far as it tells the flow. */
struct quote {
	struct iphdr *ip4;
	struct ipv6hdr *ip6;
	__be16 *ports;
};

/* RFC 792, RFC 4443 3: the types that quote a packet; redirects (5) are for routers. */
static __always_inline int icmp_is_error(const struct packet *pkt)
{
	__u8 type = *(__u8 *)pkt->icmp;

	if (pkt->ip4)
		return type == 3 || type == 11 || type == 12;
	return type >= 1 && type <= 4;
}

/* Eight bytes of the quoted transport header are there (RFC 792), and are IP's: not
 * what Ethernet put behind a short packet.
 */
static __always_inline int quote_is_whole(const struct packet *pkt, const struct quote *quote)
{
	void *end = quote->ports + 4;

	return end <= pkt->end && end <= (void *)(pkt->eth + 1) + pkt->l3_length;
}

static __always_inline int quote_parse4(const struct packet *pkt, struct quote *quote,
					struct flow *flow)
{
	struct iphdr *ip = pkt->icmp + 8;
	__u32 ihl;

	if ((void *)(ip + 1) > pkt->end)
		return 0;
	ihl = (*(__u8 *)ip & 0xf) * 4;
	if (*(__u8 *)ip >> 4 != 4 || ihl < sizeof(*ip) ||
	    ip->frag_off & bpf_htons(IP_FRAGMENT_OFFSET))
		return 0;
	quote->ip4 = ip;
	quote->ports = (void *)ip + ihl;
	flow->protocol = ip->protocol;
	addr_from_v4(&flow->source, ip->daddr);
	addr_from_v4(&flow->destination, ip->saddr);
	return quote_is_whole(pkt, quote);
}

static __always_inline int quote_parse6(const struct packet *pkt, struct quote *quote,
					struct flow *flow)
{
	struct ipv6hdr *ip = pkt->icmp + 8;

	if ((void *)(ip + 1) > pkt->end || *(__u8 *)ip >> 4 != 6)
		return 0;
	quote->ip6 = ip;
	quote->ports = (void *)(ip + 1);
	flow->protocol = ip->nexthdr;
	__builtin_memcpy(&flow->source, &ip->daddr, sizeof(flow->source));
	__builtin_memcpy(&flow->destination, &ip->saddr, sizeof(flow->destination));
	return quote_is_whole(pkt, quote);
}

/* `flow` is the quoted packet's, turned round: as an answer to it would come. */
static __always_inline int quote_parse(const struct packet *pkt, struct quote *quote,
				       struct flow *flow)
{
	if (!(pkt->ip4 ? quote_parse4(pkt, quote, flow) : quote_parse6(pkt, quote, flow)))
		return 0;
	flow->source_port = quote->ports[1];
	flow->destination_port = quote->ports[0];
	return flow->protocol == IPPROTO_TCP || flow->protocol == IPPROTO_UDP;
}

/* The quote's source (a packet to the client) or destination, and its port. The quoted
 * IPv4 header keeps its sum: address and checksum cancel, the port does not.
 */
static __always_inline void quote_rewrite(const struct packet *pkt, const struct quote *quote,
					  int source, const struct addr *new, __be16 port)
{
	__be16 *place = source ? quote->ports : quote->ports + 1;
	__u16 *check = (__u16 *)pkt->icmp + 1;
	__u64 diff = csum_diff(0, *place, port);
	struct addr old;

	*place = port;
	if (quote->ip4) {
		__be32 *field = source ? &quote->ip4->saddr : &quote->ip4->daddr;

		quote->ip4->check =
			csum_apply(quote->ip4->check, csum_diff(0, *field, new->word[3]));
		*field = new->word[3];
	} else if (quote->ip6) {
		__builtin_memcpy(&old, source ? &quote->ip6->saddr : &quote->ip6->daddr,
				 sizeof(old));
		diff = csum_diff_addr(diff, &old, new);
		__builtin_memcpy(source ? &quote->ip6->saddr : &quote->ip6->daddr, new,
				 sizeof(*new));
	}
	*check = csum_apply(*check, diff);
}

/* The error's own address; ICMPv6 sums it too. */
static __always_inline void error_rewrite(const struct packet *pkt, int source,
					  const struct addr *new)
{
	__u16 *check = (__u16 *)pkt->icmp + 1;

	if (pkt->ip6)
		*check = csum_apply(
			*check,
			csum_diff_addr(0, source ? &pkt->flow.source : &pkt->flow.destination,
				       new));
	ip_address_replace(pkt, source, new);
}

static __always_inline enum outcome error_leaves(struct packet *pkt, const struct next_hop *hop)
{
	if (hop_kind(pkt, hop) != NEXT_HOP_ETHERNET || pkt->l3_length > hop->mtu)
		return ROUTE_ICMP_ERROR;
	ttl_decrement(pkt);
	rewrite_macs(pkt->eth, hop);
	leave_by(pkt, hop);
	return FORWARD_ICMP_ERROR;
}

/* About a reply: the real server must know. */
static __always_inline enum outcome error_to_server(struct xdp_md *ctx, struct packet *pkt,
						    const struct quote *quote)
{
	const struct real_server *server;
	const struct next_hop *hop;
	__u32 id = pkt->real_server_id;
	enum outcome why;

	server = bpf_map_lookup_elem(&real_servers, &id);
	if (!server || server->service != pkt->service_id || server->method == METHOD_LOCAL)
		return PASS_ICMP;
	hop = next_hop_of_server(ctx, pkt, server);
	if (!hop)
		return DROP_NO_ROUTE;
	if (server->method == METHOD_DR) {
		why = forward_dr(ctx, pkt, hop);
		return why == FORWARD_DR ? FORWARD_ICMP_ERROR : why;
	}
	if (ttl_of(pkt) <= 1)
		return DROP_TTL;
	if (server->method == METHOD_TUN) {
		why = forward_tun(ctx, pkt, server, hop);
		return why == FORWARD_TUN ? FORWARD_ICMP_ERROR :
		       why == ROUTE_TUN	  ? ROUTE_ICMP_ERROR :
					    why;
	}
	if (hop->kind == NEXT_HOP_NO_ROUTE)
		return DROP_NO_ROUTE;
	quote_rewrite(pkt, quote, 1, &server->address, server->port ?: quote->ports[0]);
	error_rewrite(pkt, 0, &server->address);
	count_in(pkt);
	return error_leaves(pkt, hop);
}

/* About a packet that NAT had rewritten: the client must know, in its own terms. */
static __always_inline enum outcome error_to_client(struct xdp_md *ctx, struct packet *pkt,
						    const struct quote *quote)
{
	__u32 id = pkt->service_id;
	const struct service *service = bpf_map_lookup_elem(&service_table, &id);
	struct next_hop hop = {};

	if (!service)
		return PASS_ICMP;
	if (ttl_of(pkt) <= 1)
		return DROP_TTL;
	meet(pkt, EVENT_NEXT_HOP_REFRESHED);
	next_hop_ask(ctx, &pkt->flow.destination, &hop);
	if (hop.kind == NEXT_HOP_NO_ROUTE)
		return DROP_NO_ROUTE;
	quote_rewrite(pkt, quote, 0, &service->vip, pkt->service_port);
	error_rewrite(pkt, 1, &service->vip);
	count_out(pkt);
	return error_leaves(pkt, &hop);
}

/* Of either entry: whether the connection is not over yet. */
static __always_inline int connection_counts(const struct connection *conn, __u32 tick)
{
	__u64 life = conn->life;

	if (life_flags(life) & CONNECTION_REPLY) {
		conn = connection_at(conn->twin - 1);
		life = conn ? conn->life : 0;
	}
	return life && !life_is_over(life, tick);
}

static __always_inline enum outcome icmp(struct xdp_md *ctx, struct packet *pkt)
{
	enum outcome not_ours = pkt->vip_bit ? PASS_ICMP : PASS_NOT_OURS;
	struct quote quote = {};
	struct connection *conn;
	struct flow flow = {};

	/* RFC 1122 3.2.2: an error goes to whom the quoted packet came from. */
	if (!icmp_is_error(pkt) || !quote_parse(pkt, &quote, &flow) ||
	    !addr_equal(&pkt->flow.destination, &flow.destination))
		return not_ours;
	pkt->position = connection_position(&flow);
	conn = pkt->position == NO_SLOT ? NULL : connection_at(pkt->position);
	if (!conn || !connection_counts(conn, tick_of(pkt->now)))
		return not_ours;
	pkt->hash = flow_hash(&flow);
	pkt->known = 1;
	pkt->real_server_id = conn->real_server;
	pkt->service_id = conn->service;
	pkt->service_port = conn->service_port;
	trace_keep(ctx, pkt);
	if (life_flags(conn->life) & CONNECTION_REPLY)
		return error_to_client(ctx, pkt, &quote);
	return error_to_server(ctx, pkt, &quote);
}
