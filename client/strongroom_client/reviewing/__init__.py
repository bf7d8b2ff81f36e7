"""Reviews for compliance: evidence held against a named release, who rebuilt it, what changed since the last."""
