"""Networks of sandboxes' own, with a way out: one module a way, and `choice`, which chooses one."""
