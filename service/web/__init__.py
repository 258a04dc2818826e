"""The web: verdicts over HTTP."""
