"""Uploads: large files in parts, put together when all are there."""
