"""In place of the SSH library: docker-py's tests import it, whether they need it or not.

They only ask whether a socket is a `Channel`; without SSH none is.
"""


class Channel:
    """Nobody makes one."""
