"""How a process and its connections live and end: nothing cancels the driver, and whoever cannot stop ends all the same."""
