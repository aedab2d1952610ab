"""What papers print about public sets, computed anew from the files alone: a module of figures for each kind of set."""
