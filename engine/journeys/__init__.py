"""Journeys as programs and the one interpreter that carries a contact through them; pure."""
