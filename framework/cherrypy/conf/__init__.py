"""Reading configuration: values, files, namespaces, environments."""
