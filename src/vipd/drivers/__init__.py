"""What touches the kernel beside the data plane: netlink, sysctls, packet sockets, files of a run."""
