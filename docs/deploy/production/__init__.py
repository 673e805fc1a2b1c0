"""What the example also needs, to run on several hosts."""
