"""The app of the example: photos, and two ways to save them."""
