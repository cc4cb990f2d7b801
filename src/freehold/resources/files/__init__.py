"""Files: what clients upload, and what the server makes for them."""
