"""Engines and a registry, with everything between them that may go wrong."""
