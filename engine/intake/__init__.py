"""How facts about people come in, and what is told to the durable side afterwards."""
