"""What a corpus can be read from: one file for each format."""
