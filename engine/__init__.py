"""Wayline's core: rules, journeys, the gate, and the services over one SQL database."""
