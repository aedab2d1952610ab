"""Which Homegrown this is. A container runs it from its folder: nothing there is installed that would know."""

VERSION = "0.1.0"
