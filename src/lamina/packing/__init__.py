"""Build contexts on the side of whoever asks for a build: which files are sent, and their tar."""
