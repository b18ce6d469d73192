"""The commands: their arguments, and their work."""
