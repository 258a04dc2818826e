"""The ground: settings, database, statements, jail, store; knows nothing of certificates."""
