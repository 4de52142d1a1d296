"""What must hold for any bytes at all, tried by a fuzzer that looks for those for which it does not.

A target is a module in `targets` with a function `check(data)`, which raises where something
does not hold, and `SEEDS`, bytes to begin with. A new file there is all that a new one needs.
"""
