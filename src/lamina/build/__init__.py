"""The builder: from a Dockerfile and its context to an image, step by step."""
