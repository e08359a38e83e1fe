"""What starts the real parts that tests and benchmarks run against, and makes images for them."""
