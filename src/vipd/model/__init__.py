"""The nouns of a director: frozen values, valid once built. Knows no file, socket or clock."""
