"""Moving images in and out, one file a verb: `load`, `save`, `importing`, `pull`, `push`.

`layer_intake` stores one layer on its way in and looks at it meanwhile, `archive_intake` takes an
image archive apart while it arrives, and `archived` finds the images in what came, in one of three
formats: `docker_archive`, `oci_layout`, `legacy_archive`.
"""
