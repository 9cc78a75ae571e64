"""The replay: any moment of a recorded session, as the console would have shown it then."""
