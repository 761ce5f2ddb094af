"""Generators that come with Wayline: templates."""
