"""What the generators draw from: lists of values, templates, and the rules that make values up."""
