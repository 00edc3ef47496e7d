"""What tests of whole syncs share: the connector in a process or in this one, and what it printed."""
