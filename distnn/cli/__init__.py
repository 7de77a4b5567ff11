"""The command line: `distnn.cli.main`, and one module per verb, loaded when it is called."""
