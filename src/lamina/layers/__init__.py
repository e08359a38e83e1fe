"""A layer as a tar stream: compression, scanning, the index of its entries, writing of headers."""
