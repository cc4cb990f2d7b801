"""What runs in the jail: the standard library only, and nothing else of this package."""
