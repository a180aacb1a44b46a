"""What opens above the screen, and closes with `esc`."""
