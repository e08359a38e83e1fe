"""The daemon: its configuration, and the one place where the parts are put together."""

from lamina.daemon.config import DaemonConfig, InvalidConfig, read_config
from lamina.daemon.service import run, serve

__all__ = ["DaemonConfig", "InvalidConfig", "read_config", "run", "serve"]
