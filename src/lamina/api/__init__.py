"""The Docker Engine HTTP API over any engine that implements `ImageApi` and `SystemApi`."""
