"""Archives made to break an engine: clear errors, nothing left behind, memory bounded."""
