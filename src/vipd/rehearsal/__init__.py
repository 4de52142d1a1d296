"""A running director's maps in the specification's words, and its program on copies of them. Changes nothing."""
