"""Speaks to registries: the OCI distribution protocol, its authentication, and Docker's search."""
