"""What a terminal needs: arguments, lines of one form, a reader that goes away, the version."""
