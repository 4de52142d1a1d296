"""The composition root: what runs, in which order, and what it leaves.

Imported by module: who only traces, or compares, does not load the rest.
"""
