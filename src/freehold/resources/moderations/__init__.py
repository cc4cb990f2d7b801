"""The moderations group."""
