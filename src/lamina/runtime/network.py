"""Networks for sandboxes that have one of their own with a way out."""

from dataclasses import dataclass

__all__ = ["Network"]


@dataclass(frozen=True, slots=True)
class Network:
    """A network namespace."""

    path: str
    """Where the OCI runtime finds it."""
