"""The microservice: wings of rooms, lowest first: ground, registry, issuing, checking, web."""
