"""What the engine knows: images, names, layers, leases and events, in one shared database.

`records.Records` opens a root and is the way in; `catalogue.Catalogue` is its content in memory,
which every read uses; `changes` are the ways it changes; `garbage` decides which blobs nothing
needs.
"""
