"""The registry: who acts, what they did, and what the gates read."""
