"""Manifests and indexes as a stranger might write them."""

import json

from lamina.oci import mediatype
from lamina.oci.digest import Digest

CONFIG = {"mediaType": mediatype.OCI_CONFIG, "digest": str(Digest.of(b"c")), "size": 1}
LAYER = {"mediaType": mediatype.OCI_LAYER_GZIP, "digest": str(Digest.of(b"l")), "size": 2}


def text(**members: object) -> bytes:
    return json.dumps(members, indent=3).encode()


def manifest(**members: object) -> bytes:
    return text(**{"schemaVersion": 2, "config": CONFIG, "layers": [LAYER], **members})


def index(**members: object) -> bytes:
    listed = {**CONFIG, "mediaType": mediatype.OCI_MANIFEST}
    return text(**{"schemaVersion": 2, "manifests": [listed], **members})
