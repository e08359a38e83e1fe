"""`Engine`: the Image API in this process; one file a verb where it is more than a call."""

from lamina.engine.engine import Engine

__all__ = ["Engine"]
