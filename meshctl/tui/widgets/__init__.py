"""What the screen is built of: panels of rows, and single lines."""
