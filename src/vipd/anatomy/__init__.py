"""Frames taken apart for people to look at: every field with its place and meaning. Pure; raises on no octets.

Who needs a value takes the codecs of `wire`; these here tell where each bit of a frame belongs, also
in frames that no codec would take.
"""
