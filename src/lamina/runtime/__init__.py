"""Processes in root filesystems of their own, under an OCI runtime; knows no images or records."""
