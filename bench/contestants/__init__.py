"""What is measured. Each module is a program that takes its turns from standard input."""
