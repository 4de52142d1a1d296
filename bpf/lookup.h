/* SPDX-License-Identifier: GPL-2.0-only */
/* Flow to connection: is it known, does it still count, where did it go. Knows no
 * service and chooses nothing.
 */
#pragma once

#include "event.h"
#include "tcp_state.h"

/* A reply's entry has no life of its own: `expires` is when it next looks at its
 * twin, the client's entry, whose state and expiry count for both.
 */
static __always_inline int reply_is_known(struct packet *pkt, struct connection *conn, __u64 own,
					  __u32 tick)
{
	struct connection *client;
	__u64 life;

	if (pkt->segment == SEGMENT_ACK && !life_is_over(own, tick))
		return 1;
	client = connection_at(conn->twin - 1);
	if (!client || client->twin != pkt->position + 1)
		return 0;
	life = *(volatile __u64 *)&client->life;
	if (!life)
		return 0;
	if (life_is_over(life, tick)) {
		connection_expire(conn->twin - 1, life);
		return 0;
	}
	/* A later fragment has no flags to tell a state by: its first one was noted. */
	if (pkt->fragment == FRAGMENT_LATER)
		return 1;
	connection_touch(client, life, OUTPUT, pkt->segment, tick);
	__sync_val_compare_and_swap(&conn->life, own,
				    life_of(tick + TOUCH_TICKS, own >> LIFE_GENERATION_SHIFT,
					    life_state(own), life_flags(own)));
	pkt->touched = 1;
	return 1;
}

/* Whether the client's connection still counts, after this packet. */
static __always_inline int client_is_known(struct packet *pkt, struct connection *conn, __u64 life,
					   __u32 tick)
{
	if (life_is_over(life, tick)) {
		connection_expire(pkt->position, life);
		return 0;
	}
	if (pkt->segment == SEGMENT_SYN && pkt->new_allowed && pkt->tcp &&
	    state_is_closing(life_state(life))) {
		connection_end(pkt->position, life);
		meet(pkt, EVENT_CONNECTION_REUSED);
		return 0;
	}
	if (pkt->fragment != FRAGMENT_LATER)
		connection_touch(conn, life, conn->twin ? INPUT : INPUT_ONLY, pkt->segment, tick);
	return 1;
}

/* What became of the server since. */
static __always_inline int server_stands(struct packet *pkt, const struct connection *conn)
{
	__u32 id = conn->real_server;
	const struct real_server *server = bpf_map_lookup_elem(&real_servers, &id);

	if (server && server->service == conn->service &&
	    (server->status == SERVER_PRESENT || server->status == SERVER_REMOVED_KEEP))
		return 1;
	/* Whoever begins anew, from a port of old, has nothing that could be reset. */
	if (server && server->status == SERVER_REMOVED_RESET && !(pkt->tcp && pkt->new_allowed)) {
		pkt->removed = 1;
		return 1;
	}
	/* Rescheduled: in the middle of a connection, if need be. */
	pkt->new_allowed = pkt->fragment != FRAGMENT_LATER;
	return 0;
}

static __always_inline enum outcome lookup(struct packet *pkt)
{
	__u32 tick = tick_of(pkt->now);
	struct found found = {};
	struct connection *conn;

	pkt->hash = flow_hash(&pkt->flow);
	conn = connection_find(&pkt->flow, pkt->hash, &found);
	if (!conn)
		return CONTINUE;
	if (pkt->odd_flags) {
		pkt->service_id = conn->service;
		return DROP_TCP_FLAGS;
	}
	pkt->position = found.position;
	if (life_flags(found.life) & CONNECTION_REPLY) {
		if (!reply_is_known(pkt, conn, found.life, tick))
			return CONTINUE;
		pkt->reply = 1;
		pkt->service_port = conn->service_port;
		pkt->return_hop = conn->return_hop;
	} else {
		if (!client_is_known(pkt, conn, found.life, tick))
			return CONTINUE;
		if (!server_stands(pkt, conn)) {
			connection_end(pkt->position, *(volatile __u64 *)&conn->life);
			return CONTINUE;
		}
	}
	pkt->connection = conn;
	pkt->real_server_id = conn->real_server;
	pkt->service_id = conn->service;
	pkt->known = 1;
	return CONTINUE;
}
