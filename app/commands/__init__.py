"""What can be asked of the command line, a file for each subject; each has `add`, which registers its commands."""
