/* SPDX-License-Identifier: GPL-2.0-only */
/* Addresses, of IP in 16 bytes and of Ethernet, and Internet checksums over them.
 * Knows no packet.
 */
#pragma once

#include <linux/types.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"

#define V4_MAPPED bpf_htonl(0xffff)

/* Two neighbours of 32 bits in one store: what was written in halves and is read whole
 * soon after makes the processor wait.
 */
static __always_inline void store_pair(void *to, __u32 first, __u32 second)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	*(__u64 *)to = (__u64)second << 32 | first;
#else
	*(__u64 *)to = (__u64)first << 32 | second;
#endif
}

static __always_inline void addr_from_v4(struct addr *to, __be32 v4)
{
	store_pair(&to->word[0], 0, 0);
	store_pair(&to->word[2], V4_MAPPED, v4);
}

static __always_inline int addr_is_v4(const struct addr *a)
{
	return !(a->word[0] | a->word[1]) && a->word[2] == V4_MAPPED;
}

static __always_inline int addr_equal(const struct addr *a, const struct addr *b)
{
	return !((a->word[0] ^ b->word[0]) | (a->word[1] ^ b->word[1]) | (a->word[2] ^ b->word[2]) |
		 (a->word[3] ^ b->word[3]));
}

static __always_inline int mac_equal(const __u8 *a, const __u8 *b)
{
	const __u16 *x = (const __u16 *)a, *y = (const __u16 *)b;

	return !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]));
}

static __always_inline int mac_is_none(const __u8 *a)
{
	const __u16 *x = (const __u16 *)a;

	return !(x[0] | x[1] | x[2]);
}

/* 16 bits; Python's copy is in dataplane/tables.py. */
static __always_inline __u32 addr_fold(const struct addr *a)
{
	__u32 x = a->word[0] ^ a->word[1] ^ a->word[2] ^ a->word[3];

	return (x ^ x >> 16) & 0xffff;
}

static __always_inline int addr_is_interesting(const struct interest *interest,
					       const struct addr *a)
{
	__u32 bit = addr_fold(a), word = bit >> 6;

	/* The verifier of kernel 6.1 loses the bound that clang 14 knows. */
	asm volatile("%0 &= 1023" : "+r"(word));
	return interest->bits[word] >> (bit & 63) & 1;
}

static __always_inline __u16 csum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* A difference to be given to csum_apply: RFC 1624 equation 3, in words of 32 bits. */
static __always_inline __u64 csum_diff(__u64 sum, __u32 old, __u32 new)
{
	return sum + (__u32)~old + new;
}

static __always_inline __u64 csum_diff_addr(__u64 sum, const struct addr *old,
					    const struct addr *new)
{
	sum = csum_diff(sum, old->word[0], new->word[0]);
	sum = csum_diff(sum, old->word[1], new->word[1]);
	sum = csum_diff(sum, old->word[2], new->word[2]);
	return csum_diff(sum, old->word[3], new->word[3]);
}

static __always_inline __u16 csum_apply(__u16 check, __u64 diff)
{
	return ~csum_fold(diff + (__u16)~check);
}
