"""Root filesystems out of layers."""
