"""The batches group."""
