"""The parameter sweep: from the command line to a report, by way of arrays, a kernel and many cores."""
