"""Docker's containers: what they are made of, their lives, their streams and their files."""
