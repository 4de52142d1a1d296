"""One module for each deframer and decoder; see `tests.fuzz`."""
