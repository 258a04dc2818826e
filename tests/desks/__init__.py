"""Paper at all its desks under random hands: a model, and the acts by which it is tried."""
