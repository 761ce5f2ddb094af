"""What is well written and still cannot be meant: conditions, journeys and limits that never do anything."""
