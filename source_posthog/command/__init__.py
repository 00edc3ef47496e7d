"""What a terminal needs: arguments, lines of one form, a word for people, a reader that goes away, the version."""
