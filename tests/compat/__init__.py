"""Other people's clients and tools on a Lamina daemon: what they print and what they make of it."""
