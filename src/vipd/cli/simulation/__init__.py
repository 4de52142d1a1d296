"""What `vipd simulate` reads, runs and shows."""
