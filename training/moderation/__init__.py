"""Trains the moderation classifier and measures it on sources that it has not seen."""
