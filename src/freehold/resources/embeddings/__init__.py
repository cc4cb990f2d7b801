"""The embeddings group."""
