/* SPDX-License-Identifier: GPL-2.0-only */
/* Expiry without a daemon: a kernel timer looks at a part of the table at each beat
 * and ends what is over. Lookups do not depend on it: they see expiry exactly.
 */
#pragma once

#include "connection.h"
#include "event.h"
#include "trace.h"

#define CLOCK_MONOTONIC 1

struct sweep {
	__u32 position;
	__u32 tick;
};

__noinline int bucket_sweep(__u32 key, __u32 tick)
{
	struct bucket *bucket = bpf_map_lookup_elem(&connections, &key);

	if (!bucket || !(bucket->tags[0] | bucket->tags[1]))
		return 0;
	for (int i = 0; i < BUCKET_SLOTS; i++) {
		__u64 life = *(volatile __u64 *)&bucket->slot[i].life;

		if (life && !(life_flags(life) & CONNECTION_REPLY) && life_is_over(life, tick))
			connection_expire(key * BUCKET_SLOTS + i, life);
	}
	return 0;
}

static int sweep_step(__u32 n, struct sweep *sweep)
{
	__u32 key = sweep->position + n;

	bucket_sweep(key < config.buckets ? key : key - config.buckets, sweep->tick);
	return 0;
}

static int sweep_beat(void *map, __u32 *key, struct sweeper *self)
{
	struct sweep sweep = {};

	(void)map;
	(void)key;
	self->clock = bpf_ktime_get_coarse_ns();
	trace_beat(self->clock);
	sweep.tick = tick_of(self->clock);
	sweep.position = self->position;
	bpf_loop(config.sweep_buckets, sweep_step, &sweep, 0);
	self->position = (self->position + config.sweep_buckets) % config.buckets;
	self->beats++;
	bpf_timer_start(&self->timer, config.sweep_interval, 0);
	return 0;
}

static __always_inline int sweep_start(void)
{
	struct sweeper *self;
	__u32 zero = 0;

	self = bpf_map_lookup_elem(&sweeper, &zero);
	if (!self)
		return -1;
	/* Already there after an upgrade: only the callback is new. */
	bpf_timer_init(&self->timer, &sweeper, CLOCK_MONOTONIC);
	if (bpf_timer_set_callback(&self->timer, sweep_beat))
		return -1;
	return bpf_timer_start(&self->timer, config.sweep_interval, 0);
}
