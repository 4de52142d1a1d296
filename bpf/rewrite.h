/* SPDX-License-Identifier: GPL-2.0-only */
/* Header edits that keep the packet's length: addresses, ports, TTL, MSS, MACs, and
 * the checksums that follow from them (RFC 1624).
 */
#pragma once

#include "addr.h"
#include "packet.h"

static __always_inline int ttl_of(const struct packet *pkt)
{
	/* Asked twice, here and below: the verifier does not know that one is set. */
	return pkt->ip4 ? pkt->ip4->ttl : pkt->ip6 ? pkt->ip6->hop_limit : 0;
}

/* RFC 1812 5.3.1, RFC 8200 3: one less for each router. */
static __always_inline void ttl_decrement(const struct packet *pkt)
{
	if (pkt->ip4) {
		/* The TTL is the high half of the word it shares with the protocol. */
		__be16 *word = (__be16 *)&pkt->ip4->ttl, old = *word;

		*word = bpf_htons(bpf_ntohs(old) - 0x100);
		pkt->ip4->check = csum_apply(pkt->ip4->check, csum_diff(0, bpf_htons(0x100), 0));
	} else if (pkt->ip6) {
		pkt->ip6->hop_limit--;
	}
}

/* The transport checksum, if this packet carries one: RFC 768 says that 0 is none. */
static __always_inline void l4_check_apply(const struct packet *pkt, __u64 diff)
{
	if (pkt->tcp) {
		pkt->tcp->check = csum_apply(pkt->tcp->check, diff);
	} else if (pkt->udp && pkt->udp->check) {
		__u16 check = csum_apply(pkt->udp->check, diff);

		pkt->udp->check = check ?: 0xffff;
	}
}

static __always_inline void ip_address_replace(const struct packet *pkt, int source,
					       const struct addr *new)
{
	if (pkt->ip4) {
		__be32 *field = source ? &pkt->ip4->saddr : &pkt->ip4->daddr;

		pkt->ip4->check = csum_apply(pkt->ip4->check, csum_diff(0, *field, new->word[3]));
		*field = new->word[3];
	} else if (pkt->ip6) {
		__builtin_memcpy(source ? &pkt->ip6->saddr : &pkt->ip6->daddr, new, sizeof(*new));
	}
}

static __always_inline void port_replace(const struct packet *pkt, int source, __be16 new)
{
	if (pkt->tcp)
		*(source ? &pkt->tcp->source : &pkt->tcp->dest) = new;
	else if (pkt->udp)
		*(source ? &pkt->udp->source : &pkt->udp->dest) = new;
}

/* NAT: `old` is what the packet has, from its flow. */
static __always_inline void rewrite_destination(const struct packet *pkt, const struct addr *new,
						__be16 port)
{
	__u64 diff = csum_diff_addr(0, &pkt->flow.destination, new);

	diff = csum_diff(diff, pkt->flow.destination_port, port);
	ip_address_replace(pkt, 0, new);
	port_replace(pkt, 0, port);
	l4_check_apply(pkt, diff);
}

static __always_inline void rewrite_source(const struct packet *pkt, const struct addr *new,
					   __be16 port)
{
	__u64 diff = csum_diff_addr(0, &pkt->flow.source, new);

	diff = csum_diff(diff, pkt->flow.source_port, port);
	ip_address_replace(pkt, 1, new);
	port_replace(pkt, 1, port);
	l4_check_apply(pkt, diff);
}

static __always_inline void mac_copy(__u8 *to, const __u8 *from)
{
	__u16 *t = (__u16 *)to;
	const __u16 *f = (const __u16 *)from;

	t[0] = f[0];
	t[1] = f[1];
	t[2] = f[2];
}

static __always_inline void rewrite_macs(struct ethhdr *eth, const struct next_hop *hop)
{
	mac_copy(eth->h_dest, hop->destination);
	mac_copy(eth->h_source, hop->source);
}

#define TCP_OPTION_MSS 2

/* RFC 9293 3.7.1: lower the MSS that a SYN offers; one that offers none is left alone.
 * `tcp` is where its header begins in the frame.
 */
__noinline int clamp_mss(struct xdp_md *ctx, __u32 tcp, __u32 limit)
{
	__u32 here = tcp + sizeof(struct tcphdr), end;
	__u16 old, new, check;
	__u8 option[4];

	if (bpf_xdp_load_bytes(ctx, tcp + 12, option, 1))
		return 0;
	end = tcp + (option[0] >> 4) * 4;
	for (int n = 0; n < 40 && here + 4 <= end; n++) {
		/* The mask keeps the verifier from following every sum of lengths. */
		here &= 0xfff;
		if (bpf_xdp_load_bytes(ctx, here, option, sizeof(option)) || !option[0])
			return 0;
		if (option[0] == TCP_OPTION_MSS && option[1] == 4)
			goto found;
		if (option[0] != 1 && option[1] < 2)
			return 0;
		here += option[0] == 1 ? 1 : option[1];
	}
	return 0;
found:
	if ((__u32)(option[2] << 8 | option[3]) <= limit)
		return 0;
	old = bpf_htons(option[2] << 8 | option[3]);
	new = bpf_htons(limit);
	if (bpf_xdp_store_bytes(ctx, here + 2, &new, sizeof(new)))
		return 0;
	/* On an odd offset the two bytes are halves of two words. */
	if ((here - tcp) & 1) {
		old = old << 8 | old >> 8;
		new = new << 8 | new >> 8;
	}
	if (bpf_xdp_load_bytes(ctx, tcp + 16, &check, sizeof(check)))
		return 0;
	check = csum_apply(check, csum_diff(0, old, new));
	return !bpf_xdp_store_bytes(ctx, tcp + 16, &check, sizeof(check));
}
