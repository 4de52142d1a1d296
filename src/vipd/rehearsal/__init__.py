"""The BPF program beside the specification, on copies of a running director's maps or on a configuration's."""
