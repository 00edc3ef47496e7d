"""The classes that the manifest names: how each stream is read, and where its state stands."""
