/* SPDX-License-Identifier: GPL-2.0-only */
/* Devices whose packets have no Ethernet header (tun, ppp): a program that expects one
 * puts it on at its beginning, and takes it off at its end unless the frame leaves by
 * Ethernet. Knows nothing of what lies between.
 *
 * XDP on such devices is the kernel's generic one, and its frame begins at the IP header.
 * When the program is done, bpf_prog_run_generic_xdp (net/core/dev.c, 6.1 to 6.18) takes
 * the first 14 bytes for an Ethernet header all the same. If the type in them, or whether
 * they are addressed to a group, is no longer what it was, then eth_type_trans reads the
 * packet's protocol anew, from the 14 bytes in front of what we give back. Of IP those are
 * half of the source address, which NAT changes, and the length of the header, so that it
 * may happen or not. Therefore a header with the right type always lies there: the one
 * that was taken off does, and before one that stays there is a copy.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* What the kernel will compare, as it came. */
struct arrival {
	__u16 type;
	__u8 first; /* of IP: the version is in it; of Ethernet: bit 0 tells a group */
};

enum header {
	HEADER_DONE,
	HEADER_NOT_IP,	/* nothing was done */
	HEADER_NO_ROOM, /* the kernel refused to move the frame's beginning */
	HEADER_MISREAD, /* done, but the kernel would take it for the other version of IP */
};

/* The first 14 bytes, or NULL. */
static __always_inline struct ethhdr *frame_begin(const struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;

	return (void *)(eth + 1) > (void *)(long)ctx->data_end ? NULL : eth;
}

/* In front of what is there. Both addresses are zeros, as the device's own is. */
static __always_inline enum header header_write(struct xdp_md *ctx, __be16 type)
{
	struct ethhdr *eth;

	if (bpf_xdp_adjust_head(ctx, -ETH_HLEN))
		return HEADER_NO_ROOM;
	eth = frame_begin(ctx);
	if (!eth)
		return HEADER_NO_ROOM;
	__builtin_memset(eth, 0, 2 * ETH_ALEN);
	eth->h_proto = type;
	return HEADER_DONE;
}

static __always_inline enum header header_add(struct xdp_md *ctx, struct arrival *arrival)
{
	const struct ethhdr *first = frame_begin(ctx);
	__u8 version;

	/* What is shorter could not be given back: bpf_xdp_adjust_head leaves 14 bytes. */
	if (!first)
		return HEADER_NOT_IP;
	arrival->first = first->h_dest[0];
	arrival->type = first->h_proto;
	version = arrival->first >> 4;
	if (version != 4 && version != 6)
		return HEADER_NOT_IP;
	return header_write(ctx, version == 4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6));
}

/* For a frame that leaves by Ethernet. Where a tunnel's version of IP is not the packet's
 * and the kernel sees no difference, it keeps the former protocol in mind. The frame is
 * right: only a bridge or VLAN device on its way out could ask what the kernel thinks.
 */
static __always_inline enum header header_repeat(struct xdp_md *ctx)
{
	const struct ethhdr *eth = frame_begin(ctx);

	if (!eth || header_write(ctx, eth->h_proto) || bpf_xdp_adjust_head(ctx, ETH_HLEN))
		return HEADER_NO_ROOM;
	return HEADER_DONE;
}

/* A tunnel may begin, or what was in it, with the other version of IP; then the kernel must
 * see a difference. One source address in 65,536 hides it at most.
 */
static __always_inline enum header header_remove(struct xdp_md *ctx, const struct arrival *arrival)
{
	const struct ethhdr *now;
	__u8 changed;

	if (bpf_xdp_adjust_head(ctx, ETH_HLEN))
		return HEADER_NO_ROOM;
	now = frame_begin(ctx);
	if (!now)
		return HEADER_NO_ROOM;
	changed = now->h_dest[0] ^ arrival->first;
	return changed >> 4 && !(changed & 1) && now->h_proto == arrival->type ? HEADER_MISREAD :
										 HEADER_DONE;
}
