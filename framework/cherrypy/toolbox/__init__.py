"""Tools, documented as ``cherrypy.tools`` and ``cherrypy._cptools``."""
