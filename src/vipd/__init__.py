"""vipd: a layer-4 load balancer whose data plane is one eBPF program at XDP."""
