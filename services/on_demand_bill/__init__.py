"""Bills on demand: a client's request becomes a cut, and the cut's outcome becomes the request's end."""
