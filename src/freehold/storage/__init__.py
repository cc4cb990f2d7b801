"""Where state lives: protocols, and one module per implementation."""
