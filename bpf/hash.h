/* SPDX-License-Identifier: GPL-2.0-only */
/* The two hashes: a fast one that places connections, and SipHash that chooses
 * servers. Both keyed; both pure.
 */
#pragma once

#include "addr.h"
#include "maps.h"

/* Multilinear-HM (Lemire and Kaser, Strongly universal string hashing is fast,
 * 2014): with secret keys no pair of flows collides in the high 32 bits more often
 * than chance. The multiplications do not wait for each other.
 */
static __always_inline __u32 flow_hash(const struct flow *flow)
{
	const __u32 *w = (const __u32 *)flow;
	__u64 sum = config.flow_key[0];

	sum += (config.flow_key[1] + w[0]) * (config.flow_key[2] + w[1]);
	sum += (config.flow_key[3] + w[2]) * (config.flow_key[4] + w[3]);
	sum += (config.flow_key[5] + w[4]) * (config.flow_key[6] + w[5]);
	sum += (config.flow_key[7] + w[6]) * (config.flow_key[8] + w[7]);
	sum += (config.flow_key[9] + w[8]) * (config.flow_key[10] + w[9]);
	return sum >> 32;
}

static __always_inline __u64 rotate_left(__u64 x, int by)
{
	return x << by | x >> (64 - by);
}

#define SIP_ROUND(a, b, c, d)                                                                      \
	do {                                                                                       \
		a += b;                                                                            \
		b = rotate_left(b, 13) ^ a;                                                        \
		a = rotate_left(a, 32);                                                            \
		c += d;                                                                            \
		d = rotate_left(d, 16) ^ c;                                                        \
		a += d;                                                                            \
		d = rotate_left(d, 21) ^ a;                                                        \
		c += b;                                                                            \
		b = rotate_left(b, 17) ^ c;                                                        \
		c = rotate_left(c, 32);                                                            \
	} while (0)

/* SipHash-1-3 (Aumasson and Bernstein, 2012, with one and three rounds) of the
 * client's address, in as many bytes as its family has, and of its port, 0 where the
 * port is not to count. Six bytes are one round, 18 are three.
 */
static __always_inline __u64 client_hash(const struct addr *client, __be16 port)
{
	__u64 a = config.hash_key[0] ^ 0x736f6d6570736575ULL;
	__u64 b = config.hash_key[1] ^ 0x646f72616e646f6dULL;
	__u64 c = config.hash_key[0] ^ 0x6c7967656e657261ULL;
	__u64 d = config.hash_key[1] ^ 0x7465646279746573ULL;
	__u64 last = 6ULL << 56 | (__u64)port << 32 | client->word[3], word;

	if (!addr_is_v4(client)) {
		word = (__u64)client->word[1] << 32 | client->word[0];
		d ^= word;
		SIP_ROUND(a, b, c, d);
		a ^= word;
		word = (__u64)client->word[3] << 32 | client->word[2];
		d ^= word;
		SIP_ROUND(a, b, c, d);
		a ^= word;
		last = 18ULL << 56 | port;
	}
	d ^= last;
	SIP_ROUND(a, b, c, d);
	a ^= last;
	c ^= 0xff;
	SIP_ROUND(a, b, c, d);
	SIP_ROUND(a, b, c, d);
	SIP_ROUND(a, b, c, d);
	return a ^ b ^ c ^ d;
}
