"""One-line mutants of the BPF program: made up from its headers, compiled, and held against the specification.

`source` reads C, `operators` say what may be changed, `population` makes the mutants and picks some of them,
`trial` tries one, `ledger` keeps what was found out. `tools/mutate.py` is how people run it.
"""
