"""What becomes of a text on its way out: the rules of platforms, and how texts keep them. Pure."""
