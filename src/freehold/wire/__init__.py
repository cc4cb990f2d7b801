"""Request and response types, named as in the official SDK; one module per group."""
