/* SPDX-License-Identifier: GPL-2.0-only */
/* The least that any director does for a packet: read the headers, find the flow
 * in a hash and the server in an array, set the MACs. Both families, TCP and UDP.
 */
#pragma once

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include "abi.h"

enum floor_sizes {
	FLOOR_CONNECTIONS = 1 << 21, /* room for as much as the director's table has */
	FLOOR_SERVERS = REAL_SERVERS,
	FLOOR_SERVER_MASK = 15,
};

struct floor_connection {
	__u32 server;
	__u32 state;
	__u64 seen_at;
	__u64 packets;
};

struct floor_server {
	struct addr address;
	struct addr tunnel_source;
	__u8 destination[ETH_ALEN];
	__u8 source[ETH_ALEN];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FLOOR_CONNECTIONS);
	__type(key, struct flow);
	__type(value, struct floor_connection);
} floor_connections SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FLOOR_SERVERS);
	__type(key, __u32);
	__type(value, struct floor_server);
} floor_servers SEC(".maps");

struct floor_ports {
	__be16 source;
	__be16 destination;
};

static __always_inline void floor_addr_from_v4(struct addr *addr, __be32 v4)
{
	addr->word[2] = bpf_htonl(0xffff);
	addr->word[3] = v4;
}

/* `flow` comes in as zeros. */
static __always_inline int floor_parse(struct xdp_md *ctx, struct flow *flow)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct floor_ports *ports;

	if ((void *)(eth + 1) > end)
		return -1;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = (void *)(eth + 1);

		if ((void *)(ip + 1) > end || ip->ihl != 5 || ip->frag_off & bpf_htons(0x3fff))
			return -1;
		floor_addr_from_v4(&flow->source, ip->saddr);
		floor_addr_from_v4(&flow->destination, ip->daddr);
		flow->protocol = ip->protocol;
		ports = (void *)(ip + 1);
	} else if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip = (void *)(eth + 1);

		if ((void *)(ip + 1) > end)
			return -1;
		__builtin_memcpy(&flow->source, &ip->saddr, sizeof(flow->source));
		__builtin_memcpy(&flow->destination, &ip->daddr, sizeof(flow->destination));
		flow->protocol = ip->nexthdr;
		ports = (void *)(ip + 1);
	} else {
		return -1;
	}
	if (flow->protocol != IPPROTO_TCP && flow->protocol != IPPROTO_UDP)
		return -1;
	if ((void *)(ports + 1) > end)
		return -1;
	flow->source_port = ports->source;
	flow->destination_port = ports->destination;
	return 0;
}

static __always_inline __u32 floor_choose(struct flow *flow)
{
	return 1 + (bpf_ntohs(flow->source_port) & FLOOR_SERVER_MASK);
}

static __always_inline struct floor_server *floor_find(struct xdp_md *ctx)
{
	struct floor_connection *connection;
	struct flow flow = {};

	if (floor_parse(ctx, &flow))
		return NULL;
	connection = bpf_map_lookup_elem(&floor_connections, &flow);
	if (!connection)
		return NULL;
	return bpf_map_lookup_elem(&floor_servers, &connection->server);
}

static __always_inline int floor_send(struct xdp_md *ctx, struct floor_server *server)
{
	struct ethhdr *eth = (void *)(long)ctx->data;

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	__builtin_memcpy(eth->h_dest, server->destination, ETH_ALEN);
	__builtin_memcpy(eth->h_source, server->source, ETH_ALEN);
	return XDP_TX;
}

static __always_inline __u16 floor_ip_check(struct iphdr *ip)
{
	__u16 *half = (void *)ip;
	__u32 sum = 0;
	int at;

#pragma unroll
	for (at = 0; at < (int)sizeof(*ip) / 2; at++)
		sum += half[at];
	sum = (sum & 0xffff) + (sum >> 16);
	return ~((sum & 0xffff) + (sum >> 16));
}

static __always_inline int floor_encapsulate4(struct xdp_md *ctx, struct floor_server *server)
{
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);
	__u16 length;

	if ((void *)(ip + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	length = bpf_ntohs(ip->tot_len);
	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(*ip)))
		return XDP_DROP;
	eth = (void *)(long)ctx->data;
	ip = (void *)(eth + 1);
	if ((void *)(ip + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 4;
	ip->ihl = 5;
	ip->ttl = 64;
	ip->protocol = IPPROTO_IPIP;
	ip->tot_len = bpf_htons(length + sizeof(*ip));
	ip->saddr = server->tunnel_source.word[3];
	ip->daddr = server->address.word[3];
	ip->check = floor_ip_check(ip);
	eth->h_proto = bpf_htons(ETH_P_IP);
	return floor_send(ctx, server);
}

static __always_inline int floor_encapsulate6(struct xdp_md *ctx, struct floor_server *server)
{
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct ipv6hdr *ip = (void *)(eth + 1);
	__u16 length;

	if ((void *)(ip + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	length = bpf_ntohs(ip->payload_len) + sizeof(*ip);
	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(*ip)))
		return XDP_DROP;
	eth = (void *)(long)ctx->data;
	ip = (void *)(eth + 1);
	if ((void *)(ip + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 6;
	ip->hop_limit = 64;
	ip->nexthdr = IPPROTO_IPV6;
	ip->payload_len = bpf_htons(length);
	__builtin_memcpy(&ip->saddr, &server->tunnel_source, sizeof(ip->saddr));
	__builtin_memcpy(&ip->daddr, &server->address, sizeof(ip->daddr));
	eth->h_proto = bpf_htons(ETH_P_IPV6);
	return floor_send(ctx, server);
}
