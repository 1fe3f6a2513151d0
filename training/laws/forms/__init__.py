"""Laws, one family per file; each function gives a :class:`~training.laws.form.Form`."""
