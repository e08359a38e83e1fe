"""What the wire types have in common."""

import msgspec


class Model(msgspec.Struct, rename="pascal"):
    """Base of the wire types: Go's exported names. Each says `kw_only`, which is not inherited."""


class Value(msgspec.Struct, frozen=True, rename="pascal"):
    """Base of what callers hand in, under the same names."""
