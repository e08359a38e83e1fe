"""Lamina beside dockerd: the same requests, by the same client, on the same machine."""
