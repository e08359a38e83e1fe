"""What Lamina and a dockerd must both do: one suite, three backends, and both servers' bytes."""
