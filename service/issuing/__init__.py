"""Issuing: from reviewed results to numbered, sealed certificates."""
