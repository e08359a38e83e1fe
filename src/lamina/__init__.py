"""Lamina, a container-image engine: library, Docker-compatible daemon and typed client."""

__version__ = "0.1.0.dev0"
