"""With these, applications test themselves: ``helper`` starts the site, ``webtest`` asks it for pages."""
