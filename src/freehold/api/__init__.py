"""The HTTP face: binding to the document, keys, limits, errors, streams."""
