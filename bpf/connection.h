/* SPDX-License-Identifier: GPL-2.0-only */
/* The connection table: find, reserve, publish, end. Knows no packet and no server
 * but by number.
 *
 * Buckets of 16 slots; a flow lives in one of two buckets, in its home slot of the
 * first if it can, which is looked at before the tags are. Nobody locks: a slot is
 * taken by setting its tag, exists from the moment that `life` is not 0, and ends
 * with the one compare-and-swap of `life` to 0 that succeeds; only then is the tag
 * cleared. A kernel hash would cost a second cache miss a lookup and could not be
 * swept in steps.
 *
 * Here and in later stages, functions that are not static are so for the verifier:
 * it checks them once by themselves, not again on every path that leads to them.
 */
#pragma once

#include "event.h"
#include "hash.h"
#include "maps.h"

#define BYTES(x) (0x0101010101010101ULL * (x))
/* Expiry is written again only when it moves by so much: about half a second. */
#define TOUCH_TICKS 8

/* Not static: clang 14 would move it to a section of constants that its BTF does not know. */
const __u8 lowest_bit[32] = {
	0,  1,	28, 2,	29, 14, 24, 3, 30, 22, 20, 15, 25, 17, 4,  8,
	31, 27, 13, 23, 21, 19, 16, 7, 26, 12, 18, 6,  11, 5,  10, 9,
};

static __always_inline __u32 life_expires(__u64 life)
{
	return life;
}

static __always_inline __u8 life_state(__u64 life)
{
	return life >> LIFE_STATE_SHIFT;
}

static __always_inline __u8 life_flags(__u64 life)
{
	return life >> LIFE_FLAGS_SHIFT;
}

static __always_inline __u64 life_of(__u32 expires, __u16 generation, __u8 state, __u8 flags)
{
	return (__u64)expires | (__u64)generation << LIFE_GENERATION_SHIFT |
	       (__u64)state << LIFE_STATE_SHIFT | (__u64)flags << LIFE_FLAGS_SHIFT;
}

static __always_inline __u32 tick_of(__u64 now)
{
	return now >> TICK_SHIFT;
}

static __always_inline int life_is_over(__u64 life, __u32 tick)
{
	return (__s32)(life_expires(life) - tick) < 0;
}

/* Bit n of the result: byte n of the word equals the tag. */
static __always_inline __u32 tags_equal(__u64 word, __u64 pattern)
{
	__u64 x = word ^ pattern;

	x = ~(((x & BYTES(0x7f)) + BYTES(0x7f)) | x | BYTES(0x7f));
	return (x >> 7) * 0x0102040810204080ULL >> 56;
}

static __always_inline __u32 bucket_matches(const struct bucket *bucket, __u8 tag)
{
	return tags_equal(bucket->tags[0], BYTES(tag)) | tags_equal(bucket->tags[1], BYTES(tag))
								 << 8;
}

static __always_inline __u32 first_of(__u32 mask)
{
	__u32 i = (mask & -mask) * 0x077cb531U >> 27;

	/* lowest_bit is a lookup, so that the verifier follows one path, not 16. */
	return lowest_bit[i & 31] & (BUCKET_SLOTS - 1);
}

static __always_inline __u8 tag_of(__u32 hash)
{
	return (__u8)hash ?: 1;
}

static __always_inline __u32 first_bucket(__u32 hash)
{
	return (__u64)hash * config.buckets >> 32;
}

static __always_inline __u32 second_bucket(__u32 hash)
{
	return (__u64)(hash * 0x9e3779b1U) * config.buckets >> 32;
}

static __always_inline int flow_equal(const struct flow *a, const struct flow *b)
{
	const __u64 *x = (const __u64 *)a, *y = (const __u64 *)b;

	return !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) | (x[4] ^ y[4]));
}

static __always_inline struct connection *connection_at(__u32 position)
{
	__u32 key = position / BUCKET_SLOTS;
	struct bucket *bucket = bpf_map_lookup_elem(&connections, &key);

	return bucket ? &bucket->slot[position & (BUCKET_SLOTS - 1)] : NULL;
}

struct found {
	__u64 life;
	__u32 position;
};

/* The slot of its first bucket that a flow takes if it is free. */
static __always_inline __u32 home_slot(__u32 hash)
{
	return hash >> 8 & (BUCKET_SLOTS - 1);
}

/* Whether this is the flow's entry. */
static __always_inline int slot_holds(struct connection *conn, const struct flow *flow,
				      struct found *found)
{
	found->life = *(volatile __u64 *)&conn->life;
	if (!found->life || !flow_equal(&conn->flow, flow))
		return 0;
	/* A slot that was given to another flow while we read has another generation. */
	return !((*(volatile __u64 *)&conn->life ^ found->life) >> LIFE_GENERATION_SHIFT & 0xffff);
}

static __always_inline struct connection *bucket_find(struct bucket *bucket, __u32 key,
						      const struct flow *flow, __u8 tag,
						      struct found *found)
{
	__u32 mask = bucket_matches(bucket, tag);

	for (int n = 0; n < BUCKET_SLOTS && mask; n++, mask &= mask - 1) {
		__u32 i = first_of(mask);

		found->position = key * BUCKET_SLOTS + i;
		if (slot_holds(&bucket->slot[i], flow, found))
			return &bucket->slot[i];
	}
	return NULL;
}

static __always_inline struct connection *connection_find(const struct flow *flow, __u32 hash,
							  struct found *found)
{
	__u32 key = first_bucket(hash), home = home_slot(hash);
	struct bucket *bucket = bpf_map_lookup_elem(&connections, &key);
	struct connection *conn;

	if (!bucket)
		return NULL;
	found->position = key * BUCKET_SLOTS + home;
	if (slot_holds(&bucket->slot[home], flow, found))
		return &bucket->slot[home];
	conn = bucket_find(bucket, key, flow, tag_of(hash), found);
	if (conn)
		return conn;
	key = second_bucket(hash);
	bucket = bpf_map_lookup_elem(&connections, &key);
	return bucket ? bucket_find(bucket, key, flow, tag_of(hash), found) : NULL;
}

#define NO_SLOT 0xffffffff

/* The same for the slow paths: the position alone, or NO_SLOT. */
__noinline __u32 connection_position(const struct flow *flow)
{
	struct found found = {};

	if (!flow || !connection_find(flow, flow_hash(flow), &found))
		return NO_SLOT;
	return found.position;
}

static __always_inline void slot_release(__u32 position)
{
	__u32 key = position / BUCKET_SLOTS, i = position & (BUCKET_SLOTS - 1);
	struct bucket *bucket = bpf_map_lookup_elem(&connections, &key);

	if (bucket)
		__sync_fetch_and_and(&bucket->tags[i >> 3], ~(0xffULL << (i & 7) * 8));
}

static __always_inline __u32 bucket_reserve(__u32 key, __u32 hash)
{
	struct bucket *bucket = bpf_map_lookup_elem(&connections, &key);

	if (!bucket)
		return NO_SLOT;
	/* Another processor may take the slot we saw: look again, a few times. */
	for (int n = 0; n < 4; n++) {
		__u32 mask = bucket_matches(bucket, 0), i;
		__u64 old, *word;

		if (!mask)
			return NO_SLOT;
		i = home_slot(hash);
		if (!(mask >> i & 1))
			i = first_of(mask);
		word = &bucket->tags[i >> 3];
		old = *(volatile __u64 *)word;
		if (old >> (i & 7) * 8 & 0xff)
			continue;
		if (__sync_val_compare_and_swap(word, old,
						old | (__u64)tag_of(hash) << (i & 7) * 8) == old)
			return key * BUCKET_SLOTS + i;
	}
	return NO_SLOT;
}

/* A slot that is ours to fill; it exists for others once connection_publish is done. */
__noinline __u32 slot_reserve(__u32 hash)
{
	__u32 position = bucket_reserve(first_bucket(hash), hash);

	return position != NO_SLOT ? position : bucket_reserve(second_bucket(hash), hash);
}

static __always_inline void connection_publish(struct connection *conn, __u64 life)
{
	/* An exchange is a full barrier: the rest is visible before `life`. */
	__sync_lock_test_and_set(&conn->life, life);
}

static __always_inline void load_add(__u32 real_server_id, int active, __s64 by)
{
	struct load *load = bpf_map_lookup_elem(&loads, &real_server_id);

	if (!load)
		return;
	if (active)
		__sync_fetch_and_add(&load->active, by);
	else
		__sync_fetch_and_add(&load->inactive, by);
}

/* Both entries of the connection go. False: somebody else was first. */
__noinline int connection_end(__u32 position, __u64 life)
{
	struct connection *conn = connection_at(position), *twin;
	__u32 other;

	if (!conn || __sync_val_compare_and_swap(&conn->life, life, 0) != life)
		return 0;
	load_add(conn->real_server, life_flags(life) & CONNECTION_ACTIVE, -1);
	other = conn->twin;
	if (other) {
		twin = connection_at(other - 1);
		if (twin && twin->twin == position + 1) {
			__sync_lock_test_and_set(&twin->life, 0);
			twin->twin = 0;
			slot_release(other - 1);
		}
	}
	conn->twin = 0;
	slot_release(position);
	return 1;
}

/* Its time is over: whoever sees it first ends it. */
static __always_inline void connection_expire(__u32 position, __u64 life)
{
	if (connection_end(position, life))
		count_event(EVENT_CONNECTION_EXPIRED);
}
