"""How scores agree: with each other, over runs, and with planted truth."""
