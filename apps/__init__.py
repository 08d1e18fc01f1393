"""The applications: each file declares one; _app, _cli and _form turn declarations into commands and pages."""
