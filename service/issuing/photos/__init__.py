"""Photos: holders' portraits, from the ZIP that brings them to the row that they belong to."""
