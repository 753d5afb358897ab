"""``report.html``: one run folder as one page; :mod:`.report` is the way in."""
