"""The built-in actions."""
