"""Checking: what a reader may rely on."""
