"""The contestants. Each module is a program that runs one pass for each line that it reads."""
