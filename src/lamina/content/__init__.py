"""Content-addressed blobs: the interface of a blob store, and the store on a local file system."""
