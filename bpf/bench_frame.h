/* SPDX-License-Identifier: GPL-2.0-only */
/* Writes the frame of the next flow over whatever the last run left behind. Knows
 * frames only as a template and a few fields, and nothing of the director.
 */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

enum recipe_flag {
	RECIPE_IPV6 = 1,
	RECIPE_UDP = 2,
	RECIPE_REPLY = 4,     /* from the real server to the client */
	RECIPE_SCATTERED = 8, /* flows in a scattered order; else one after the other */
};

enum recipe_sizes {
	FRAME4 = 64,
	FRAME6 = 80,
	CLIENT_PORT_BITS = 6, /* connections of one client address */
	CLIENT_PORT = 32768,
};

/* Written by user space before each run. In the template, and so in its checksums,
 * what varies is 0: the client's port and the low words of both addresses.
 */
struct recipe {
	__u64 frame[FRAME6 / 8];
	__u32 flags;
	__u32 program;	     /* index in `programs` */
	__u32 cursor;	     /* how many flows have been made */
	__u32 mask;	     /* flows - 1, of a power of two */
	__u32 scatter_shift; /* half the bits of mask */
	__u32 first;	     /* number of the first flow */
	__u32 client;	     /* low word of the first client's address, host order */
	__u32 server;	     /* the same of the VIP, or of the first real server */
	__u32 server_mask;   /* servers - 1, of a power of two */
	__u32 server_turn;   /* flow i is with server (i + turn) & mask */
	__u32 ip_sum;	     /* of the template, before the complement */
	__u32 l4_sum;
	__u64 written; /* frames; only its atomic increment matters */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct recipe);
} recipes SEC(".maps");

/* Gives every number of 0..mask once, in steps that no prefetcher guesses. */
static __always_inline __u32 scatter(__u32 number, __u32 mask, __u32 shift)
{
	number = (number * 0x9e3779b1) & mask;
	number ^= number >> (shift & 31);
	return (number * 0x85ebca6b) & mask;
}

static __always_inline __u32 recipe_next_flow(struct recipe *recipe)
{
	__u32 number = recipe->cursor++ & recipe->mask;

	if (recipe->flags & RECIPE_SCATTERED)
		number = scatter(number, recipe->mask, recipe->scatter_shift);
	return recipe->first + number;
}

static __always_inline __u32 sum_word(__u32 word)
{
	return (word & 0xffff) + (word >> 16);
}

static __always_inline __u16 sum_fold(__u32 sum)
{
	return ~sum_word(sum_word(sum));
}

static __always_inline void store32(void *frame, __u32 at, __u32 value)
{
	*(__u32 *)(frame + at) = value;
}

static __always_inline void store16(void *frame, __u32 at, __u16 value)
{
	*(__u16 *)(frame + at) = value;
}

/* `source` and `destination` are where the low words of the addresses are. */
static __always_inline void frame_vary(struct recipe *recipe, void *frame, __u32 source,
				       __u32 destination, __u32 l4)
{
	__u32 flow = recipe_next_flow(recipe);
	__u32 client = bpf_htonl(recipe->client + (flow >> CLIENT_PORT_BITS));
	__u32 turn = (flow + recipe->server_turn) & recipe->server_mask;
	__u32 server = bpf_htonl(recipe->server + turn);
	__u16 port = bpf_htons(CLIENT_PORT + (flow & ((1 << CLIENT_PORT_BITS) - 1)));
	__u32 sum = sum_word(client) + sum_word(server);

	if (recipe->flags & RECIPE_REPLY) {
		store32(frame, source, server);
		store32(frame, destination, client);
		store16(frame, l4 + 2, port);
	} else {
		store32(frame, source, client);
		store32(frame, destination, server);
		store16(frame, l4, port);
	}
	if (!(recipe->flags & RECIPE_IPV6))
		store16(frame, 24, sum_fold(recipe->ip_sum + sum));
	if (recipe->flags & RECIPE_UDP)
		store16(frame, l4 + 6, sum_fold(recipe->l4_sum + sum + port));
	else
		store16(frame, l4 + 16, sum_fold(recipe->l4_sum + sum + port));
}

static __always_inline int frame_write(struct xdp_md *ctx, struct recipe *recipe)
{
	void *frame = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	int at;

	if (frame + FRAME4 > end)
		return -1;
#pragma unroll
	for (at = 0; at < FRAME4 / 8; at++)
		((__u64 *)frame)[at] = recipe->frame[at];
	if (!(recipe->flags & RECIPE_IPV6)) {
		frame_vary(recipe, frame, 26, 30, 34);
		return 0;
	}
	if (frame + FRAME6 > end)
		return -1;
#pragma unroll
	for (at = FRAME4 / 8; at < FRAME6 / 8; at++)
		((__u64 *)frame)[at] = recipe->frame[at];
	frame_vary(recipe, frame, 34, 50, 54);
	return 0;
}
