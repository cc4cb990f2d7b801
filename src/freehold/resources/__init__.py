"""One folder per API group: routes, service, store."""
