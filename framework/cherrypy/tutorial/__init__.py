"""Ten small programs, each about one idea: ``python -m cherrypy.tutorial.tut01_helloworld``, then http://127.0.0.1:8080/."""

# Something that a configuration file can name: ``thing: cherrypy.tutorial.thing2``.
thing2 = object()
