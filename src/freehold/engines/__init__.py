"""Engines: a Protocol per modality, backends named by the catalogue, models loaded on first use."""
