"""The pure part: which questions to ask, what an answer proves, and which state that allows.

Nothing in here knows of HTTP or of Airbyte (a lint rule keeps it so).
"""
