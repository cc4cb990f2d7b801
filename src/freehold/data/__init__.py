"""Constants as data: the API document, the catalogue of models, limits, retention."""
