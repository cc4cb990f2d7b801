"""Write training examples and held-out items, one module for each kind of conversation."""
