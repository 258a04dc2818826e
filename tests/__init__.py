"""Tests: behaviour, on real PostgreSQL, with real keys made on the spot."""
