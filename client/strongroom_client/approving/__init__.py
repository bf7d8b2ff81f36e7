"""Approving: what a person is shown, decoded here from the very bytes, and what then signs.

Nothing that a person reads before signing comes from a page that the host served (docs/adr/0012).
"""
