"""Whether files that can be read fit together: names, journeys, plugins, texts."""
