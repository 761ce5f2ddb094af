"""The demonstration: real purchase histories through the shipped journeys, on a compressed clock."""
