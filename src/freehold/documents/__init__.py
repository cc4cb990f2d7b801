"""Documents as text: read in a child process, cut into chunks."""
