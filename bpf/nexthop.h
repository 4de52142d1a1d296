/* SPDX-License-Identifier: GPL-2.0-only */
/* Address to next hop: ask the kernel's routes and neighbours, remember the answer
 * for a while. Neighbours are kept resolved by the kernel (managed entries).
 */
#pragma once

#include "addr.h"
#include "event.h"
#include "maps.h"
#include "packet.h"

#define FAMILY_INET 2
#define FAMILY_INET6 10

static __always_inline void fib_destination(struct bpf_fib_lookup *fib, const struct addr *to)
{
	if (addr_is_v4(to)) {
		fib->family = FAMILY_INET;
		fib->ipv4_dst = to->word[3];
	} else {
		fib->family = FAMILY_INET6;
		__builtin_memcpy(fib->ipv6_dst, to, sizeof(*to));
	}
}

/* Whether the route leads over another machine than `to` itself. */
static __always_inline int fib_has_gateway(const struct bpf_fib_lookup *fib, const struct addr *to)
{
	if (addr_is_v4(to))
		return fib->family != FAMILY_INET || fib->ipv4_dst != to->word[3];
	return fib->ipv6_dst[0] != to->word[0] || fib->ipv6_dst[1] != to->word[1] ||
	       fib->ipv6_dst[2] != to->word[2] || fib->ipv6_dst[3] != to->word[3];
}

/* A device without a MAC is point to point: its frames are for the kernel to make, also
 * where its "neighbour" counts as resolved.
 */
static __always_inline enum next_hop_kind kind_of_interface(__u32 ifindex)
{
	__u32 key = ifindex & (INTERFACES - 1);
	const struct interface *itf = bpf_map_lookup_elem(&interfaces, &key);

	if (!itf || itf->ifindex != ifindex || mac_is_none(itf->mac))
		return NEXT_HOP_KERNEL;
	return itf->flags & INTERFACE_REDIRECT ? NEXT_HOP_ETHERNET : NEXT_HOP_BACK;
}

/* What the hop is for this packet; a remembered one serves those of any interface. Where
 * a packet came in without Ethernet, its destination is no MAC, XDP is the kernel's
 * generic one, and that sends out of any interface.
 */
static __always_inline enum next_hop_kind hop_kind(const struct packet *pkt,
						   const struct next_hop *hop)
{
	if (hop->kind != NEXT_HOP_BACK)
		return hop->kind;
	if (hop->ifindex == pkt->ingress || mac_is_none(pkt->eth->h_dest))
		return NEXT_HOP_ETHERNET;
	return NEXT_HOP_KERNEL;
}

/* `hop` is written whole but for `resolved_at`, which says when it became right. */
__noinline int next_hop_ask(struct xdp_md *ctx, const struct addr *to, struct next_hop *hop)
{
	struct bpf_fib_lookup fib = {};
	__u32 mtu = 0;
	long answer;

	if (!to || !hop)
		return 0;
	fib.ifindex = ctx->ingress_ifindex;
	fib_destination(&fib, to);
	answer = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	hop->ifindex = fib.ifindex;
	hop->mtu = fib.mtu_result;
	switch (answer) {
	case BPF_FIB_LKUP_RET_SUCCESS:
		__builtin_memcpy(hop->destination, fib.dmac, ETH_ALEN);
		__builtin_memcpy(hop->source, fib.smac, ETH_ALEN);
		hop->gateway = fib_has_gateway(&fib, to);
		hop->kind = kind_of_interface(fib.ifindex);
		return 1;
	case BPF_FIB_LKUP_RET_NO_NEIGH:
		/* The answer ends before the MTU: the device's own is the best that there is. */
		bpf_check_mtu(ctx, fib.ifindex, &mtu, 0, 0);
		hop->mtu = mtu;
		hop->kind = kind_of_interface(fib.ifindex) == NEXT_HOP_KERNEL ? NEXT_HOP_KERNEL :
										NEXT_HOP_UNRESOLVED;
		return 0;
	case BPF_FIB_LKUP_RET_UNSUPP_LWT:
		hop->kind = NEXT_HOP_KERNEL;
		return 0;
	default:
		hop->kind = NEXT_HOP_NO_ROUTE;
		return 0;
	}
}

/* For a while a neighbour that the kernel has forgotten is where it was: by then it has
 * been asked for again. Under DR nobody but us would ask.
 */
#define NEIGHBOUR_GRACE (config.next_hop_age << 5) /* 16 s */

static __always_inline void next_hop_renew(struct xdp_md *ctx, struct packet *pkt,
					   const struct addr *to, struct next_hop *hop)
{
	struct next_hop fresh = {};

	meet(pkt, EVENT_NEXT_HOP_REFRESHED);
	if (next_hop_ask(ctx, to, &fresh))
		fresh.resolved_at = pkt->now;
	else if (fresh.kind == NEXT_HOP_UNRESOLVED && fresh.ifindex == hop->ifindex &&
		 hop->resolved_at && pkt->now - hop->resolved_at < NEIGHBOUR_GRACE)
		return;
	*hop = fresh;
}

static __always_inline const struct next_hop *
next_hop_of_server(struct xdp_md *ctx, struct packet *pkt, const struct real_server *server)
{
	__u32 id = pkt->real_server_id;
	struct next_hop *hop = bpf_map_lookup_elem(&next_hops, &id);

	if (hop && (!hop->resolved_at || pkt->now - hop->resolved_at > config.next_hop_age))
		next_hop_renew(ctx, pkt, &server->address, hop);
	return hop;
}

/* 1 to RETURN_HOPS - 1: the hop's place in return_hops; 0 where that place is taken
 * by another, and the routes have to be asked for every packet. Of a place that is
 * taken, `resolved_at` is when its hop was last the answer; of one being taken, 1.
 */
static __always_inline __u16 return_hop_number(const struct next_hop *hop, __u64 now)
{
	const __u16 *mac = (const __u16 *)hop->destination;
	__u32 key = mac[0] ^ mac[1] ^ mac[2] ^ hop->ifindex * 0x9e37;
	struct next_hop *held;

	key = (key ^ key >> 12) & (RETURN_HOPS - 1);
	held = key ? bpf_map_lookup_elem(&return_hops, &key) : NULL;
	if (!held)
		return 0;
	if (!__sync_val_compare_and_swap(&held->resolved_at, 0, 1)) {
		held->ifindex = hop->ifindex;
		held->mtu = hop->mtu;
		held->kind = hop->kind;
		__builtin_memcpy(held->destination, hop->destination, ETH_ALEN);
		__builtin_memcpy(held->source, hop->source, ETH_ALEN);
		__sync_lock_test_and_set(&held->resolved_at, now);
		return key;
	}
	if (held->resolved_at == 1 || held->ifindex != hop->ifindex || held->mtu != hop->mtu ||
	    held->kind != hop->kind || !mac_equal(held->destination, hop->destination) ||
	    !mac_equal(held->source, hop->source))
		return 0;
	held->resolved_at = now;
	return key;
}

/* A hop is asked for anew when nobody got it as an answer for a while, and by each
 * connection of its own every few seconds: routes may change for one client alone.
 */
static __always_inline int return_hop_is_fresh(const struct packet *pkt,
					       const struct next_hop *held)
{
	if (pkt->now - held->resolved_at > config.next_hop_age && pkt->now > held->resolved_at)
		return 0;
	return !pkt->touched || (pkt->hash ^ pkt->now >> 29) & 7;
}

/* The way back to the client, remembered in the reply's connection entry by number. */
static __always_inline void next_hop_of_client(struct xdp_md *ctx, struct packet *pkt,
					       struct next_hop *hop)
{
	__u32 key = pkt->return_hop;
	const struct next_hop *held = key ? bpf_map_lookup_elem(&return_hops, &key) : NULL;
	int found;

	if (held && return_hop_is_fresh(pkt, held)) {
		*hop = *held;
		return;
	}
	meet(pkt, EVENT_NEXT_HOP_REFRESHED);
	found = next_hop_ask(ctx, &pkt->flow.destination, hop);
	if (pkt->connection)
		pkt->connection->return_hop = found ? return_hop_number(hop, pkt->now) : 0;
}
