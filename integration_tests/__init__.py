"""The connector as a whole, against a server on this machine that behaves as PostHog does."""
