"""`make bench`: the connector beside the published one, against the embedded PostHog, in ratios and counts."""
