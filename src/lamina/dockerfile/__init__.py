"""Dockerfiles as values: text, syntax, typed instructions, stages. Nothing here does any I/O."""
