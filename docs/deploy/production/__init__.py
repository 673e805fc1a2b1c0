"""What the example needs besides, to run on several hosts."""
