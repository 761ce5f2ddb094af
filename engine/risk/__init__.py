"""Risk circuit-breakers as pure state machines; who reads figures and publishes states is elsewhere."""
