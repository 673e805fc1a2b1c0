"""Does what the tutorial and the README say, in their order, and sees what comes of it."""
