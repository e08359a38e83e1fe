"""In place of the library with which aiodocker's tests run a registry in a container.

The registry runs already, and the environment says where.
"""
