"""What people hand over: configuration, catalog, state, files; what is wrong with it, in a sentence."""
