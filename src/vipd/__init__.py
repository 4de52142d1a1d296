"""vipd: a linux director whose data plane is one eBPF program at XDP."""
