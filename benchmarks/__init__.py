"""What is measured against others, each one command. A package, since opacus installs one of the same name."""
