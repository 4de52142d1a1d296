"""What `make bench` runs: the director beside floors and beside other balancers, in one run."""
