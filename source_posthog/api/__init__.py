"""One request to PostHog, whatever it is for, and what all requests of a sync know together."""
