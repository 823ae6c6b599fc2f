"""FooocusAPI: one route for everything that is made, answered at once, as a stream, later, or with a picture alone."""
