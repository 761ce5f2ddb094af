"""Notifications to browsers: each text is encrypted for one of them, and signed for its push service."""
