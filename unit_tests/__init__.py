"""Each module by itself: fast, and without a network."""
