/* SPDX-License-Identifier: GPL-2.0-only */
/* Choose a real server for a flow that has none, and remember the choice. What
 * cannot be remembered goes by consistent hash.
 */
#pragma once

#include "event.h"
#include "hash.h"
#include "reply.h"
#include "tcp_state.h"
#include "trace.h"

static __always_inline __u32 service_number(const struct packet *pkt)
{
	struct service_range range = { .prefixlen = 160 };
	struct service_key key = {};
	__u32 *id;

	key.vip = pkt->flow.destination;
	/* Port, protocol and padding at once: see store_pair. */
	*(__be32 *)&key.port = bpf_htonl((__u32)bpf_ntohs(pkt->flow.destination_port) << 16 |
					 (__u32)pkt->flow.protocol << 8);
	id = bpf_map_lookup_elem(&services, &key);
	if (id)
		return *id;
	range.vip = key.vip;
	range.protocol = key.protocol;
	range.port = key.port;
	id = bpf_map_lookup_elem(&service_ranges, &range);
	return id ? *id : 0;
}

/* The server under NAT that answers from this address and port: its number, 0 where
 * its service cannot be told, or NULL.
 */
static __always_inline const __u32 *nat_source(const struct addr *server, __be16 port,
					       __u8 protocol)
{
	struct service_key key = {};

	key.vip = *server;
	key.port = port;
	key.protocol = protocol;
	return bpf_map_lookup_elem(&nat_sources, &key);
}

/* A packet of no known connection, not for a VIP: perhaps a server's reply under NAT. */
static __always_inline enum outcome stateless_reply(struct xdp_md *ctx, struct packet *pkt,
						    enum outcome not_ours)
{
	const __u32 *id = nat_source(&pkt->flow.source, pkt->flow.source_port, pkt->flow.protocol);
	const struct real_server *server;
	const struct service *service;
	__u32 service_id;

	/* A SYN begins a connection of the server's own: no answer. */
	if (!id || (pkt->tcp && pkt->new_allowed))
		return not_ours;
	/* With the server's own address on it, it would help nobody. */
	server = *id ? bpf_map_lookup_elem(&real_servers, id) : NULL;
	if (!server)
		return DROP_UNKNOWN_REPLY;
	service_id = server->service;
	service = bpf_map_lookup_elem(&service_table, &service_id);
	if (!service)
		return DROP_UNKNOWN_REPLY;
	pkt->reply = 1;
	pkt->real_server_id = *id;
	pkt->service_id = service_id;
	pkt->service_port = service->first_port;
	meet(pkt, EVENT_STATELESS);
	trace_keep(ctx, pkt);
	return CONTINUE;
}

/* Under NAT, only where the reply would find its way back without memory too. */
static __always_inline int can_be_stateless(const struct packet *pkt, __u32 server_id,
					    const struct real_server *server)
{
	const __u32 *id;

	if (server->method != METHOD_NAT)
		return 1;
	id = nat_source(&server->address, server->port ?: pkt->flow.destination_port,
			pkt->flow.protocol);
	return id && *id == server_id;
}

/* RFC 1122 3.2.1.3: no host sends from these; nor does the VIP to itself ("land"). That
 * a real server does not get what comes from its own address is seen once it is chosen.
 */
static __always_inline int source_is_martian(const struct packet *pkt)
{
	const struct addr *a = &pkt->flow.source;
	__u8 first;

	if (addr_equal(a, &pkt->flow.destination))
		return 1;
	if (addr_is_v4(a)) {
		first = *(const __u8 *)&a->word[3];
		return first == 0 || first == 127 || first >= 224;
	}
	if (*(const __u8 *)a == 0xff)
		return 1;
	return !(a->word[0] | a->word[1] | a->word[2]) && !(a->word[3] & ~bpf_htonl(1));
}

static __always_inline __u32 slot_at(__u32 base, __u32 n)
{
	__u32 key = base + n, *id = bpf_map_lookup_elem(&slots, &key);

	return id ? *id : 0;
}

/* 0 to count - 1, by the hash's high half; a division would cost more than the hash. */
static __always_inline __u32 hash_slot(__u64 hash, __u32 count)
{
	return (hash >> 32) * count >> 32;
}

/* Least connections: the walk over a service's servers. */
struct least {
	__u64 overhead;
	__u32 weight;
	__u32 id;
	__u32 base;
	__u32 weighted;
};

/* LVS's overhead: an active connection is as heavy as 256 inactive ones. */
static int least_step(__u32 n, struct least *least)
{
	__u32 id = slot_at(least->base, n);
	const struct real_server *server = bpf_map_lookup_elem(&real_servers, &id);
	const struct load *load = bpf_map_lookup_elem(&loads, &id);
	__u64 overhead;
	__u32 weight;

	if (!id || !server || !load || server->status != SERVER_PRESENT || !server->weight)
		return 0;
	overhead = load->active * 256 + load->inactive;
	weight = least->weighted ? server->weight : 1;
	if (!least->id || overhead * least->weight < least->overhead * weight) {
		least->overhead = overhead;
		least->weight = weight;
		least->id = id;
	}
	return 0;
}

static __always_inline __u32 least_of(const struct service *service)
{
	struct least least = { .base = service->slots };

	/* 0, read from a map: kernels before 6.7 verify the step once only, with what they
	 * know of `least`, and would remove its branches for other values.
	 */
	least.id = least.weight = service->pad;
	least.overhead = service->pad;
	least.weighted = service->scheduler == SCHEDULER_WLC;
	bpf_loop(service->slot_count, least_step, &least, 0);
	return least.id;
}

__noinline __u32 choose(const struct flow *flow, __u32 service_id)
{
	const struct service *service = bpf_map_lookup_elem(&service_table, &service_id);
	__u32 number;
	__u64 *cursor;

	if (!flow || !service || !service->slot_count)
		return 0;
	switch (service->scheduler) {
	case SCHEDULER_LC:
	case SCHEDULER_WLC:
		return least_of(service);
	case SCHEDULER_RR:
	case SCHEDULER_WRR:
		cursor = bpf_map_lookup_elem(&cursors, &service_id);
		number = cursor ? __sync_fetch_and_add(cursor, 1) % service->slot_count : 0;
		break;
	default:
		number = hash_slot(client_hash(&flow->source, service->flags & SERVICE_MH_PORT ?
								      flow->source_port :
								      0),
				   service->slot_count);
	}
	return slot_at(service->slots, number);
}

/* The same for every packet of a flow, with or without memory of it. */
__noinline __u32 choose_stateless(const struct flow *flow, __u32 service_id)
{
	const struct service *service = bpf_map_lookup_elem(&service_table, &service_id);
	int by_port;

	if (!flow || !service || !service->fallback_count)
		return 0;
	by_port = (service->scheduler != SCHEDULER_SH && service->scheduler != SCHEDULER_MH) ||
		  service->flags & SERVICE_MH_PORT;
	return slot_at(service->fallback,
		       hash_slot(client_hash(&flow->source, by_port ? flow->source_port : 0),
				 service->fallback_count));
}

static __always_inline const struct real_server *server_of(__u32 id, __u32 service_id)
{
	const struct real_server *server = id ? bpf_map_lookup_elem(&real_servers, &id) : NULL;

	if (!server || server->status != SERVER_PRESENT || server->service != service_id)
		return NULL;
	return server;
}

enum made {
	MADE,
	MADE_NOT_FULL,	    /* no room in the table */
	MADE_NOT_COLLISION, /* the server has the same client port for another service */
};

#define COLLISION (NO_SLOT - 1)

/* Of the reply under NAT, from the real server to the client. */
static __always_inline void reply_flow(struct flow *flow, const struct flow *client,
				       const struct real_server *server)
{
	flow->source = server->address;
	flow->destination = client->source;
	flow->source_port = server->port ?: client->destination_port;
	flow->destination_port = client->source_port;
	flow->protocol = client->protocol;
	flow->pad[0] = flow->pad[1] = flow->pad[2] = 0;
}

/* A slot for the reply's entry of a NAT connection, NO_SLOT or COLLISION. */
__noinline __u32 reply_reserve(const struct flow *client, __u32 id, __u32 tick)
{
	const struct real_server *server = bpf_map_lookup_elem(&real_servers, &id);
	struct connection *old, *first;
	__u32 position, twin;
	struct flow flow;
	__u64 life;

	if (!client || !server)
		return NO_SLOT;
	reply_flow(&flow, client, server);
	position = connection_position(&flow);
	old = position == NO_SLOT ? NULL : connection_at(position);
	if (old && old->life) {
		twin = old->twin - 1;
		first = old->twin ? connection_at(twin) : NULL;
		if (!(life_flags(old->life) & CONNECTION_REPLY) || !first)
			return COLLISION;
		life = *(volatile __u64 *)&first->life;
		if (life && life_is_over(life, tick))
			connection_expire(twin, life);
		else if (life && !state_is_closing(life_state(life)))
			return COLLISION;
		else if (life)
			connection_end(twin, life);
	}
	return slot_reserve(flow_hash(&flow));
}

static __always_inline void remember_reply(const struct flow *client,
					   const struct real_server *server,
					   const struct connection *conn, __u32 own, __u64 now)
{
	struct connection *reply = connection_at(conn->twin - 1);

	if (!reply)
		return;
	reply_flow(&reply->flow, client, server);
	reply->real_server = conn->real_server;
	reply->service = conn->service;
	reply->twin = own + 1;
	reply->service_port = client->destination_port;
	reply->return_hop = 0;
	connection_publish(reply, life_of(tick_of(now) - 1, now >> 10, STATE_NONE,
					  CONNECTION_USED | CONNECTION_REPLY));
}

/* `slots`: of the connection, and above that of its twin plus 1, or 0. */
__noinline int remember_at(const struct flow *flow, __u64 slots, __u32 id, __u32 segment, __u64 now)
{
	const struct real_server *server = bpf_map_lookup_elem(&real_servers, &id);
	struct connection *conn = connection_at(slots);
	struct traffic *count;
	__u8 state, flags;

	if (!flow || !server || !conn)
		return 0;
	conn->flow = *flow;
	conn->real_server = id;
	conn->service = server->service;
	conn->twin = slots >> 32;
	conn->service_port = 0;
	conn->return_hop = 0;
	if (conn->twin)
		remember_reply(flow, server, conn, slots, now);
	state = STATE_UDP;
	if (flow->protocol == IPPROTO_TCP)
		state = state_after(STATE_NONE, conn->twin ? INPUT : INPUT_ONLY, segment);
	flags = CONNECTION_USED | (state_is_active(state) ? CONNECTION_ACTIVE : 0);
	load_add(id, flags & CONNECTION_ACTIVE, 1);
	connection_publish(conn, life_of(expires_of(state, tick_of(now)), now >> 10, state, flags));
	count = bpf_map_lookup_elem(&traffic, &id);
	if (count)
		count->connections++;
	return 0;
}

/* Its steps are called from here, one after the other: of what one of them calls, the
 * stack has to hold all (see tests/dataplane/test_stack.py).
 */
static __always_inline enum made remember(const struct packet *pkt, __u32 id,
					  const struct real_server *server)
{
	__u32 own = slot_reserve(pkt->hash), twin = 0;

	if (own == NO_SLOT)
		return MADE_NOT_FULL;
	if (server->method == METHOD_NAT) {
		twin = reply_reserve(&pkt->flow, id, tick_of(pkt->now));
		if (twin == NO_SLOT || twin == COLLISION) {
			slot_release(own);
			return twin == NO_SLOT ? MADE_NOT_FULL : MADE_NOT_COLLISION;
		}
		twin++;
	}
	remember_at(&pkt->flow, (__u64)twin << 32 | own, id, pkt->segment, pkt->now);
	return MADE;
}

static __always_inline enum outcome schedule(struct xdp_md *ctx, struct packet *pkt)
{
	__u32 service_id = pkt->vip_bit ? service_number(pkt) : 0, id;
	const struct real_server *server = NULL;

	if (!service_id)
		return stateless_reply(ctx, pkt, pkt->vip_bit ? PASS_NO_SERVICE : PASS_NOT_OURS);
	pkt->service_id = service_id;
	trace_keep(ctx, pkt);
	if (pkt->odd_flags)
		return DROP_TCP_FLAGS;
	if (source_is_martian(pkt))
		return DROP_MARTIAN;
	if (pkt->new_allowed) {
		id = choose(&pkt->flow, service_id);
		server = server_of(id, service_id);
		if (server && addr_equal(&server->address, &pkt->flow.source))
			return DROP_MARTIAN;
		if (server) {
			enum made made = remember(pkt, id, server);

			if (made == MADE_NOT_COLLISION)
				return DROP_COLLISION;
			if (made == MADE_NOT_FULL) {
				meet(pkt, EVENT_TABLE_FULL);
				server = NULL;
			} else {
				meet(pkt, EVENT_CONNECTION_NEW);
			}
		}
	}
	if (!server) {
		id = choose_stateless(&pkt->flow, service_id);
		server = server_of(id, service_id);
		if (!server)
			return reply_refused(ctx, pkt, REPLY_RESET_NO_SERVER,
					     REPLY_UNREACHABLE_NO_SERVER);
		if (addr_equal(&server->address, &pkt->flow.source))
			return DROP_MARTIAN;
		if (!can_be_stateless(pkt, id, server))
			return reply_refused(ctx, pkt, REPLY_RESET_NO_CONNECTION,
					     REPLY_UNREACHABLE_NO_CONNECTION);
		meet(pkt, EVENT_STATELESS);
	}
	pkt->real_server_id = id;
	return CONTINUE;
}
