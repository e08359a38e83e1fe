"""Pure values of the OCI and Docker formats: references, digests, manifests, configurations."""
